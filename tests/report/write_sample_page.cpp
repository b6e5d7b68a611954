// write_sample_page COUNT: a page of so many made-up pictures on standard output, for browser_test.sh.
#include <cstdlib>
#include <iostream>

#include "tests/report/sample_page.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::cout << lfm::test::sample_page(std::atoi(argv[1]));
}
