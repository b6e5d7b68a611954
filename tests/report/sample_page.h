// A page of made-up detections, with names that try to break out of it.
#pragma once

#include <fmt/core.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <string>

#include "lfm/image.h"
#include "src/image/encode.h"
#include "src/report/page.h"

namespace lfm::test {

inline const std::string kNastyName =
    "</script><script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">&'.png";

inline std::string sample_page(int pictures) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  ReportPage page(true);
  for (int i = 0; i < pictures; ++i) {
    Detection d;
    d.path = i == 3 ? kNastyName : fmt::format("photos/{:04}.jpg", i);
    const auto label = static_cast<std::uint8_t>(i % 2);
    if (i % 20 == 7) {
      d.error = "its data ends early <b>";
      page.add(d, label, "one");
      continue;
    }
    d.status = Detection::Status::scored;
    d.width = d.height = 256;
    d.logit = i == 0 ? -2 : 2 * normal(random) + (label == 1 ? 1.5f : -1.5f);
    d.score = 1 / (1 + std::exp(-d.logit));
    d.fake = d.score > 0.5f;
    d.unsure = i % 10 == 9;
    if (d.unsure) d.doubt = Doubt::flips;
    d.delivered_scores = {d.score, d.score * 0.8f, std::min(1.0f, d.score * 1.1f)};
    Evidence e{0, 0, 256, 256, 256, 256, 30, 30, std::vector<float>(900), std::vector<float>(900)};
    for (int k = 0; k < 200; ++k) e.contributions[random() % 900] = normal(random);
    d.evidence.push_back(std::move(e));
    Image thumbnail{64, 64, {}};
    for (int p = 0; p < 64 * 64; ++p) {
      const auto grey = static_cast<std::uint8_t>((p % 64 * (1 + i % 4) + p / 64 * 2) & 0xFF);
      thumbnail.rgb.insert(thumbnail.rgb.end(),
                           {grey, static_cast<std::uint8_t>(i * 16), static_cast<std::uint8_t>(255 - grey)});
    }
    for (const std::byte byte : encode_webp(thumbnail, 50)) d.thumbnail.push_back(static_cast<std::uint8_t>(byte));
    page.add(d, label, "one");
  }
  Model model;
  model.name = "<img src=x onerror=alert(1)>";
  model.provenance = R"({"data": "made up", "licence": "<none>"})";
  return page.html("A page of pictures", {"model.lfmw"}, model, View::resize, 0.5f);
}

}  // namespace lfm::test
