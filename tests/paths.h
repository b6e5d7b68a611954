// Where the tests find what is outside them. These paths are absolute, so they are compiled once, in paths.cpp: no
// other object file of a test tells where its checkout lies, and ccache serves them to every checkout.
#pragma once

namespace lfm::test {

extern const char* const kSourceFolder;  ///< the checkout
extern const char* const kTestFixtures;  ///< the small fixtures of this project
extern const char* const kShared;        ///< the larger ones beside the checkout, which may be missing
extern const char* const kProgram;       ///< lfm-cuda; a test that runs it has it built before (add_dependencies)
extern const char* const kFaultLibrary;  ///< tests/faults/inject.cpp; empty where it isn't built
extern const char* const kMpirun;        ///< empty where the program is built without MPI

}  // namespace lfm::test
