#include "src/eval/subsets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "lfm/error.h"
#include "src/eval/paper.h"
#include "tests/data/image_folder.h"

namespace lfm {
namespace {

using ::testing::UnorderedElementsAre;

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

class Subsets : public ::testing::Test {
 protected:
  void image(const std::string& relative) { folder.write_image(relative, 8, 8, 1); }
  test::ImageFolder folder;
};

TEST_F(Subsets, AreTheFoldersOfARootWithClassesAboveOrBeneathTheLabels) {
  image("val/progan/car/0_real/a.ppm");
  image("val/progan/cat/0_real/a.ppm");
  image("val/progan/cat/1_fake/b.ppm");
  image("val/biggan/0_real/a.ppm");
  image("val/biggan/1_fake/dogs/b.ppm");
  image("val/biggan/1_fake/birds/small/b.ppm");
  folder.write("val/biggan/1_fake/notes.txt", "no image");
  const TestData data = find_subsets({folder.path() / "val"});
  EXPECT_EQ(counts(data), (Counts{{{"val", "progan"}, {2, 1}}, {{"val", "biggan"}, {1, 2}}}));
  EXPECT_EQ(data.ignored, 1u);
}

TEST_F(Subsets, ARootThatHoldsTheLabelsItselfIsItsOwn) {
  image("faces/0_real/a.ppm");
  image("faces/1_fake/b.ppm");
  EXPECT_EQ(counts(find_subsets({folder.path() / "faces"})), (Counts{{{"faces", "faces"}, {1, 1}}}));
}

TEST_F(Subsets, KnowThePapersTestSetsWhereverTheyLie) {
  image("all/ForenSynths/progan/car/0_real/a.ppm");
  image("all/ForenSynths/progan/car/1_fake/a.ppm");
  image("all/Diffusion1kStep/ddpm/1_fake/a.ppm");
  image("all/DiffusionForensics/ddpm/1_fake/a.ppm");
  image("all/other/1_fake/a.ppm");
  const Counts expected = {{{"ForenSynths", "progan"}, {1, 1}},
                           {{"Diffusion1kStep", "ddpm"}, {0, 1}},
                           {{"DiffusionForensics", "ddpm"}, {0, 1}},
                           {{"all", "other"}, {0, 1}}};
  EXPECT_EQ(counts(find_subsets({folder.path() / "all"})), expected);
  EXPECT_EQ(counts(find_subsets({folder.path() / "all/ForenSynths/progan"})), (Counts{{{"ForenSynths", "progan"}, {1, 1}}}));
  EXPECT_EQ(counts(find_subsets({folder.path() / "all/Diffusion1kStep"})), (Counts{{{"Diffusion1kStep", "ddpm"}, {0, 1}}}));
}

TEST_F(Subsets, CountAnImageOfOverlappingRootsOnce) {
  image("val/a/0_real/a.ppm");
  image("val/a/1_fake/b.ppm");
  const TestData data = find_subsets({folder.path() / "val", folder.path() / "val/a"});
  EXPECT_EQ(data.files.size(), 2u);
}

TEST_F(Subsets, KeepRootsOfOneNameApart) {
  image("x/val/a/0_real/1.ppm");
  image("y/val/a/0_real/1.ppm");
  const TestData data = find_subsets({folder.path() / "x/val", folder.path() / "y/val"});
  EXPECT_EQ(data.subsets.size(), 2u);
}

TEST_F(Subsets, RefuseAFolderWithoutImages) {
  folder.write("empty/0_real/notes.txt", "no image");
  EXPECT_THROW(find_subsets({folder.path() / "empty"}), Error);
  EXPECT_THROW(find_subsets({folder.path() / "missing"}), Error);
}

TEST(Paper, FiguresAreMatchedByFolderName) {
  EXPECT_EQ(find_paper_figure("LFM", "GANGen-Detection", "S3GAN")->accuracy, 88.4);
  EXPECT_EQ(find_paper_figure("LFM", "gangen-detection", "s3gan")->ap, 95.5);
  EXPECT_EQ(find_paper_figure("LFM", "Diffusion1kStep", "dalle")->ap, 98.1);
  EXPECT_EQ(find_paper_figure("NPR", "", "")->accuracy, 92.2);
  EXPECT_EQ(find_paper_figure("LFM", "val", "dalle"), nullptr);
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
    EXPECT_NEAR(accuracy / count, find_paper_figure("LFM", set, "")->accuracy, 0.06) << set;
    EXPECT_NEAR(ap / count, find_paper_figure("LFM", set, "")->ap, 0.06) << set;
  }
}

}  // namespace
}  // namespace lfm
