#include <lfm/detector.h>

#include <iostream>

int main(int argc, char** argv) {
  lfm::Detector detector(lfm::find_model());
  for (const lfm::Detection& d : detector.detect_files({argv + 1, argv + argc})) {
    std::cout << d.path << ' ' << (d.scored() ? (d.fake ? "fake" : "real") : d.error) << ' ' << d.score << '\n';
  }
}
