#include "src/eval/subsets.h"

#include <map>

#include "lfm/error.h"
#include "src/eval/paper.h"
#include "tests/catch.h"
#include "tests/data/image_folder.h"

namespace lfm {
namespace {

/// Images per (test set, sub-dataset), reals and fakes.
std::map<std::pair<std::string, std::string>, std::pair<int, int>> counts(const TestData& data) {
  std::map<std::pair<std::string, std::string>, std::pair<int, int>> count;
  for (const LabelledFile& file : data.files) {
    auto& [reals, fakes] = count[{data.subsets[file.subset].test_set, data.subsets[file.subset].name}];
    ++(file.label == 1 ? fakes : reals);
  }
  return count;
}

using Counts = std::map<std::pair<std::string, std::string>, std::pair<int, int>>;

class Subsets {
 protected:
  void image(const std::string& relative) { folder.write_image(relative, 8, 8, 1); }
  test::ImageFolder folder;
};

TEST_CASE_METHOD(Subsets, "Subsets.AreTheFoldersOfARootWithClassesAboveOrBeneathTheLabels") {
  image("val/progan/car/0_real/a.ppm");
  image("val/progan/cat/0_real/a.ppm");
  image("val/progan/cat/1_fake/b.ppm");
  image("val/biggan/0_real/a.ppm");
  image("val/biggan/1_fake/dogs/b.ppm");
  image("val/biggan/1_fake/birds/small/b.ppm");
  folder.write("val/biggan/1_fake/notes.txt", "no image");
  const TestData data = find_subsets({folder.path() / "val"});
  CHECK(counts(data) == (Counts{{{"val", "progan"}, {2, 1}}, {{"val", "biggan"}, {1, 2}}}));
  CHECK(data.ignored == 1u);
}

TEST_CASE_METHOD(Subsets, "Subsets.ARootThatHoldsTheLabelsItselfIsItsOwn") {
  image("faces/0_real/a.ppm");
  image("faces/1_fake/b.ppm");
  CHECK(counts(find_subsets({folder.path() / "faces"})) == (Counts{{{"faces", "faces"}, {1, 1}}}));
}

TEST_CASE_METHOD(Subsets, "Subsets.KnowThePapersTestSetsWhereverTheyLie") {
  image("all/ForenSynths/progan/car/0_real/a.ppm");
  image("all/ForenSynths/progan/car/1_fake/a.ppm");
  image("all/Diffusion1kStep/ddpm/1_fake/a.ppm");
  image("all/DiffusionForensics/ddpm/1_fake/a.ppm");
  image("all/other/1_fake/a.ppm");
  const Counts expected = {{{"ForenSynths", "progan"}, {1, 1}},
                           {{"Diffusion1kStep", "ddpm"}, {0, 1}},
                           {{"DiffusionForensics", "ddpm"}, {0, 1}},
                           {{"all", "other"}, {0, 1}}};
  CHECK(counts(find_subsets({folder.path() / "all"})) == expected);
  CHECK(counts(find_subsets({folder.path() / "all/ForenSynths/progan"})) ==
        (Counts{{{"ForenSynths", "progan"}, {1, 1}}}));
  CHECK(counts(find_subsets({folder.path() / "all/Diffusion1kStep"})) ==
        (Counts{{{"Diffusion1kStep", "ddpm"}, {0, 1}}}));
}

TEST_CASE_METHOD(Subsets, "Subsets.CountAnImageOfOverlappingRootsOnce") {
  image("val/a/0_real/a.ppm");
  image("val/a/1_fake/b.ppm");
  const TestData data = find_subsets({folder.path() / "val", folder.path() / "val/a"});
  CHECK(data.files.size() == 2u);
}

TEST_CASE_METHOD(Subsets, "Subsets.KeepRootsOfOneNameApart") {
  image("x/val/a/0_real/1.ppm");
  image("y/val/a/0_real/1.ppm");
  const TestData data = find_subsets({folder.path() / "x/val", folder.path() / "y/val"});
  CHECK(data.subsets.size() == 2u);
}

TEST_CASE_METHOD(Subsets, "Subsets.RefuseAFolderWithoutImages") {
  folder.write("empty/0_real/notes.txt", "no image");
  CHECK_THROWS_AS(find_subsets({folder.path() / "empty"}), Error);
  CHECK_THROWS_AS(find_subsets({folder.path() / "missing"}), Error);
}

TEST_CASE("Paper.FiguresAreMatchedByFolderName") {
  CHECK(find_paper_figure("LFM", "GANGen-Detection", "S3GAN")->accuracy == 88.4);
  CHECK(find_paper_figure("LFM", "gangen-detection", "s3gan")->ap == 95.5);
  CHECK(find_paper_figure("LFM", "Diffusion1kStep", "dalle")->ap == 98.1);
  CHECK(find_paper_figure("NPR", "", "")->accuracy == 92.2);
  CHECK(find_paper_figure("LFM", "val", "dalle") == nullptr);
  // The means of the test sets are the means of their sub-datasets, as far as these are reported.
  for (const char* set : {"GANGen-Detection", "Diffusion1kStep"}) {
    double accuracy = 0, ap = 0;
    int count = 0;
    for (const PaperFigure& figure : paper_figures()) {
      if (figure.test_set != set || figure.subset.empty()) continue;
      accuracy += figure.accuracy;
      ap += figure.ap;
      ++count;
    }
    CHECK_THAT_MESSAGE(accuracy / count, WithinAbs(find_paper_figure("LFM", set, "")->accuracy, 0.06), set);
    CHECK_THAT_MESSAGE(ap / count, WithinAbs(find_paper_figure("LFM", set, "")->ap, 0.06), set);
  }
}

}  // namespace
}  // namespace lfm
