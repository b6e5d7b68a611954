#include "src/pipeline/pixel_pool.h"

#include <set>
#include <vector>

#include "lfm/error.h"
#include "tests/catch.h"
#include "tests/pipeline/stub_engine.h"

namespace lfm::test {
namespace {

PixelBlock take(PixelPool& pool, std::size_t bytes) { return {pool.take(bytes), {&pool}}; }

TEST_CASE("PixelPool.BlocksAreNeighboursAndComeBack") {
  StubEngine engine;
  PixelPool pool(engine, 100);
  std::set<std::uint8_t*> first;
  {
    std::vector<PixelBlock> blocks;
    for (int i = 0; i < 64; ++i) {
      blocks.push_back(take(pool, 100));
      first.insert(blocks.back().get());
      const auto at = static_cast<std::size_t>(i);
      CHECK_MESSAGE((i == 0 || blocks[at].get() == blocks[at - 1].get() + 100), "block " << i);
    }
    CHECK(first.size() == 64u);
  }
  const PixelBlock again = take(pool, 100);
  CHECK_MESSAGE(again.get() == *first.begin(), "what came back is handed out again, from the front");
  CHECK_MESSAGE(!take(pool, 99), "another size");
}

class EngineWithoutMemory : public StubEngine {
 public:
  PixelBuffer host_memory(std::size_t bytes) override {
    if (given_++ > 0) throw Error(ErrorCode::device, "no page can be locked any more");
    return StubEngine::host_memory(bytes);
  }

 private:
  int given_ = 0;
};

TEST_CASE("PixelPool.IsEmptyWhereTheEngineHasNoMore") {
  EngineWithoutMemory engine;
  PixelPool pool(engine, 10);
  std::vector<PixelBlock> blocks;
  while (PixelBlock block = take(pool, 10)) blocks.push_back(std::move(block));
  CHECK(blocks.size() == 64u);
  blocks.pop_back();
  CHECK(take(pool, 10));
}

}  // namespace
}  // namespace lfm::test
