// Whether the host could talk to a server: tried once, from the opening to the end, beside whatever else it does.
#ifndef TALLY_SELFTEST_HPP
#define TALLY_SELFTEST_HPP

// Begins it and returns at once. The log says what has come of it, within ten seconds.
void BeginSelfTest(const std::string &url, const std::string &caBundle);

// Waits until all that were begun have ended.
void WaitForSelfTests();

#endif
