#include "tests/paths.h"

namespace lfm::test {

const char* const kSourceFolder = LFM_SOURCE_DIR;
const char* const kTestFixtures = LFM_SOURCE_DIR "/tests/fixtures";
const char* const kShared = LFM_SOURCE_DIR "/../shared";
const char* const kProgram = LFM_PROGRAM;
const char* const kFaultLibrary = LFM_FAULT_LIBRARY;
const char* const kMpirun = LFM_MPIRUN;

}  // namespace lfm::test
