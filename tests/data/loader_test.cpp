#include "src/data/loader.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>

#include "lfm/error.h"
#include "lfm/image.h"
#include "src/image/file.h"
#include "src/machine/cores.h"
#include "tests/catch.h"
#include "tests/data/image_folder.h"
#include "tests/machine/bound_to_one_core.h"

namespace lfm {
namespace {

using test::ImageFolder;

/// 9 reals and 7 fakes of different sizes.
class LoaderTest {
 protected:
  LoaderTest() {
    for (unsigned i = 0; i < 16; ++i) {
      const bool fake = i >= 9;
      folder_.write_image(std::string(fake ? "1_fake/" : "0_real/") + static_cast<char>('a' + i) + ".ppm",
                          static_cast<int>(50 + i), static_cast<int>(70 - i), i);
    }
  }

  Dataset dataset() const { return scan_dataset({folder_.path()}); }

  static LoaderOptions small_options() {
    LoaderOptions options;
    options.batch = 5;
    options.seed = 11;
    options.view = {.view = View::resize, .resize = 56, .crop = 48};
    options.augmentation.jpeg = 0.5f;
    options.threads = 1;
    return options;
  }

  ImageFolder folder_;
};

std::vector<Batch> serve(Loader& loader, std::uint64_t epoch, std::uint64_t step, std::uint64_t end_epoch) {
  std::vector<Batch> batches;
  loader.start(epoch, step, end_epoch);
  for (Batch batch; loader.next(batch);) batches.push_back(batch);
  return batches;
}

void expect_equal(const Batch& a, const Batch& b) {
  CHECK(a.epoch == b.epoch);
  CHECK(a.step == b.step);
  CHECK(a.samples == b.samples);
  CHECK(a.labels == b.labels);
  CHECK_MESSAGE(a.pixels == b.pixels, "epoch " << a.epoch << " step " << a.step);
}

TEST_CASE_METHOD(LoaderTest, "LoaderTest.ServesOriginalsBesideWhereAsked") {
  Loader without(dataset(), small_options());
  LoaderOptions options = small_options();
  options.originals = true;
  options.threads = 3;
  options.augmentation.jpeg = 0.5f;
  Loader with(dataset(), options);
  const auto expected = serve(without, 0, 0, 1), got = serve(with, 0, 0, 1);
  REQUIRE(got.size() == expected.size());
  const std::size_t square = std::size_t{3} * 48 * 48;
  int alike = 0, images = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    expect_equal(got[i], expected[i]);
    CHECK(expected[i].originals.empty());
    REQUIRE(got[i].originals.size() == got[i].pixels.size());
    for (int image = 0; image < got[i].n; ++image, ++images) {
      const auto first = static_cast<std::ptrdiff_t>(static_cast<std::size_t>(image) * square);
      alike +=
          std::equal(got[i].pixels.begin() + first, got[i].pixels.begin() + first + static_cast<std::ptrdiff_t>(square),
                     got[i].originals.begin() + first);
    }
  }
  CHECK(alike > 0);
  CHECK_MESSAGE(alike < images, "half of them are re-compressed");
}

TEST_CASE_METHOD(LoaderTest, "LoaderTest.ServesTheSameWhateverTheThreadsPrefetchAndCache") {
  Loader alone(dataset(), small_options());
  const auto expected = serve(alone, 0, 0, 3);
  REQUIRE(expected.size() == 9u);
  CHECK_MESSAGE(expected[0].samples != expected[3].samples, "epochs differ in order");
  for (const int threads : {2, 7}) {
    for (const std::size_t cache : {std::size_t{0}, std::size_t{40'000}, std::size_t{100'000'000}}) {
      LoaderOptions options = small_options();
      options.threads = threads;
      options.prefetch = threads;
      options.cache_bytes = cache;
      Loader loader(dataset(), options);
      const auto got = serve(loader, 0, 0, 3);
      REQUIRE(got.size() == expected.size());
      for (std::size_t i = 0; i < got.size(); ++i) expect_equal(got[i], expected[i]);
    }
  }
}

std::ptrdiff_t threads_of_this_process() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), std::filesystem::directory_iterator());
}

TEST_CASE_METHOD(LoaderTest, "LoaderTest.TakesTheCoresThatTheProcessMayUse") {
  LoaderOptions options = small_options();
  options.threads = 0;
  Loader loader(dataset(), options);
  const auto others = threads_of_this_process();
  {
    const test::BoundToOneCore bound;
    loader.start(0, 0, 1);
    CHECK(threads_of_this_process() == others + 1);
  }
  loader.start(0, 0, 1);
  CHECK(threads_of_this_process() == others + usable_cores());
}

TEST_CASE_METHOD(LoaderTest, "LoaderTest.ResumesAtAnyStep") {
  LoaderOptions options = small_options();
  options.balance = true;
  options.threads = 2;
  Loader uninterrupted(dataset(), options);
  const auto expected = serve(uninterrupted, 0, 0, 2);
  const auto steps = uninterrupted.steps_per_epoch();
  REQUIRE(expected.size() == 2 * steps);
  Loader resumed(dataset(), options);
  for (std::size_t at = 0; at < expected.size(); ++at) {
    Batch batch;
    resumed.start(at / steps, at % steps, 2);
    REQUIRE(resumed.next(batch));
    expect_equal(batch, expected[at]);  // and the rest is left unread: restarting drops it
  }
}

TEST_CASE_METHOD(LoaderTest, "LoaderTest.LabelsAndPixelsBelongToTheSample") {
  LoaderOptions options = small_options();
  options.view = {.view = View::native, .crop = 50};
  options.augmentation = {.flip = 0};
  Loader loader(dataset(), options);
  for (const Batch& batch : serve(loader, 0, 0, 1)) {
    REQUIRE(batch.pixels.size() == static_cast<std::size_t>(batch.n) * 50 * 50 * 3);
    for (std::size_t i = 0; i < batch.samples.size(); ++i) {
      const Sample& sample = loader.dataset().samples[batch.samples[i]];
      CHECK(batch.labels[i] == sample.label);
      const Image image = read_image(sample.path);
      const std::uint8_t* crop = batch.pixels.data() + i * 50 * 50 * 3;
      CHECK(std::search(image.rgb.begin(), image.rgb.end(), crop, crop + 150) != image.rgb.end());
    }
  }
}

TEST_CASE_METHOD(LoaderTest, "LoaderTest.ValidationIsInOrderAndComplete") {
  LoaderOptions options = small_options();
  options.training = false;
  options.threads = 3;
  Loader loader(dataset(), options);
  const auto batches = serve(loader, 0, 0, 1);
  REQUIRE(batches.size() == 4u);
  CHECK(batches.back().n == 1);
  CHECK(loader.images_per_epoch() == 16u);
  std::uint32_t next = 0;
  for (const Batch& batch : batches) {
    for (const std::uint32_t sample : batch.samples) CHECK(sample == next++);
  }
  const auto again = serve(loader, 0, 0, 1);
  for (std::size_t i = 0; i < again.size(); ++i) CHECK(again[i].pixels == batches[i].pixels);
}

TEST_CASE_METHOD(LoaderTest, "LoaderTest.RanksTogetherServeTheGlobalBatch") {
  LoaderOptions options = small_options();
  options.drop_last = false;
  Loader whole(dataset(), options);
  const auto expected = serve(whole, 0, 0, 1);
  options.batch = 5;
  options.size = 3;
  std::vector<std::vector<Batch>> parts;
  for (options.rank = 0; options.rank < 3; ++options.rank) {
    Loader loader(dataset(), options);
    parts.push_back(serve(loader, 0, 0, 1));
    REQUIRE_MESSAGE(parts.back().size() == 3u, "the last batch's one image can't be split over three");
  }
  for (std::size_t step = 0; step < 3; ++step) {
    std::pmr::vector<std::uint8_t> pixels;
    int images = 0;
    for (const auto& part : parts) {
      CHECK(part[step].first_image == images);
      CHECK(part[step].global_n == 5);
      images += part[step].n;
      pixels.insert(pixels.end(), part[step].pixels.begin(), part[step].pixels.end());
    }
    CHECK(pixels == expected[step].pixels);
  }
}

TEST_CASE_METHOD(LoaderTest, "LoaderTest.UnreadableFilesAreReportedOnceAndReplacedByTheNextOfTheirLabel") {
  folder_.write("0_real/b.ppm", "no picture");
  folder_.write("0_real/c.ppm", "");
  folder_.write("1_fake/p.ppm", "P6\n10 10\n255\ntruncated");
  LoaderOptions options = small_options();
  options.training = false;
  for (const int threads : {1, 4}) {
    options.threads = threads;
    Loader loader(dataset(), options);
    std::vector<std::string> reports;
    loader.on_unreadable([&](const Sample& sample, const std::string& reason) {
      reports.push_back(sample.path.filename().string());
      CHECK_THAT(reason, ContainsSubstring(sample.path.filename().string()));
    });
    const auto batches = serve(loader, 0, 0, 2);
    CHECK_THAT(reports, test::ElementsAre("b.ppm", "c.ppm", "p.ppm"));
    CHECK(loader.unreadable() == 3u);
    REQUIRE(batches.size() == 8u);
    CHECK_THAT(batches[0].samples, test::ElementsAre(0u, 3u, 3u, 3u, 4u));
    CHECK_THAT_MESSAGE(batches[3].samples, test::ElementsAre(9u), "wraps round to the first fake");
    CHECK_THAT(batches[3].labels, test::ElementsAre(1));
  }
}

// Another picture in its place would make the run differ from one in which it is there.
TEST_CASE_METHOD(LoaderTest, "LoaderTest.AFileThatIsGoneEndsInAnError") {
  LoaderOptions options = small_options();
  options.training = false;
  for (const int threads : {1, 3}) {
    options.threads = threads;
    Loader loader(dataset(), options);
    std::filesystem::rename(folder_.path() / "0_real/c.ppm", folder_.path() / "0_real/gone");
    try {
      serve(loader, 0, 0, 1);
      FAIL("nothing was thrown");
    } catch (const Unavailable& error) {
      CHECK_THAT(error.what(), ContainsSubstring("c.ppm") && ContainsSubstring("No such file"));
    }
    std::filesystem::rename(folder_.path() / "0_real/gone", folder_.path() / "0_real/c.ppm");
    CHECK_MESSAGE(serve(loader, 0, 0, 1).size() == 4u, "it can be started again");
  }
}

TEST_CASE_METHOD(LoaderTest, "LoaderTest.ALabelWithoutAnyReadableImageEndsInAnError") {
  for (char name = 'j'; name <= 'p'; ++name) folder_.write(std::string("1_fake/") + name + ".ppm", "");
  LoaderOptions options = small_options();
  options.threads = 3;
  Loader loader(dataset(), options);
  try {
    serve(loader, 0, 0, 1);
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::input);
    CHECK_THAT(error.what(), ContainsSubstring("none of the 7 fakes can be read"));
  }
}

TEST_CASE_METHOD(LoaderTest, "LoaderTest.CanBeDroppedAndRestartedAtAnyMoment") {
  LoaderOptions options = small_options();
  options.threads = 4;
  for (int i = 0; i < 20; ++i) {
    Loader loader(dataset(), options);
    loader.start(0, 0, 1000);
    Batch batch;
    for (int step = 0; step < i % 4; ++step) REQUIRE(loader.next(batch));
    if (i % 2) loader.start(5, 1, 6);
  }
}

TEST_CASE_METHOD(LoaderTest, "LoaderTest.RefusesOptionsThatContradictEachOther") {
  const auto refused = [&](auto change) {
    LoaderOptions options = small_options();
    change(options);
    CHECK_THROWS_AS(Loader(dataset(), options), Error);
  };
  refused([](auto& o) { o.batch = 0; });
  refused([](auto& o) { o.batch = 17; });  // drop_last leaves nothing
  refused([](auto& o) { o.size = 6; });
  refused([](auto& o) { o.rank = 1; });
  refused([](auto& o) { o.view.crop = 100; });
  Loader loader(dataset(), small_options());
  CHECK_THROWS_AS(loader.start(0, 3, 1), Error);
  Batch batch;
  CHECK_MESSAGE(!loader.next(batch), "before any start");
}

}  // namespace
}  // namespace lfm
