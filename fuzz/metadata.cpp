// What files carry beside their pixels: blocks out of every container, EXIF, JUMBF and CBOR. The input is tried as a
// file, as a box and as bare CBOR.
#include <nlohmann/json.hpp>

#include "fuzz/fuzz.h"
#include "src/data/picture_header.h"
#include "src/image/heif_coded_sizes.h"
#include "src/image/heif_layout.h"
#include "src/metadata/blocks.h"
#include "src/metadata/c2pa.h"
#include "src/metadata/cbor.h"
#include "src/metadata/exif.h"
#include "src/metadata/jpeg_tables.h"
#include "src/metadata/signs.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lfm;
  using namespace lfm::fuzz;
  const std::vector<std::byte> copy = copy_of(bytes_of(data, size));
  const Bytes bytes = copy;
  const MetadataBlocks blocks = metadata_blocks(bytes);
  for (const ByteBlock& block : blocks.exif) {
    const int orientation = read_exif(block).orientation;
    demand(orientation >= 1 && orientation <= 8, "an orientation of EXIF's");
  }
  for (const ByteBlock& block : blocks.jumbf) c2pa_claims(block);
  c2pa_claims(bytes);
  read_exif(bytes);
  jpeg_gaps(bytes);
  jpeg_quality(bytes);
  const HeifLayout layout = heif_layout(bytes);
  const Window window = layout.clean_aperture(100, 80);
  demand(window.x >= 0 && window.y >= 0 && window.width >= 1 && window.height >= 1 && window.x + window.width <= 100 &&
             window.y + window.height <= 80,
         "an aperture inside the picture");
  heif_coded_sizes(bytes);
  const PictureHeader header = picture_header(bytes);
  demand((header.width == 0) == (header.height == 0), "both sides or neither");
  const int turn = orientation_of(bytes);
  demand(turn >= 1 && turn <= 8, "an orientation of EXIF's");
  if (const auto value = read_cbor(bytes)) value->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  for (const Sign& sign : find_signs(bytes, Image{1, 1, {0, 0, 0}}))
    demand(!sign.value.empty() && sign.value.size() <= 410, "values of bounded length");
  return 0;
}
