// What every source of the host program begins with: the standard library, and the macros of windows.h and of its
// relatives, as those define them. Here it is precompiled and force-included.
#ifndef TALLY_HOST_HPP
#define TALLY_HOST_HPP

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#define ERROR 0
#define NO_ERROR 0L
#define DELETE (0x00010000L)
#define GET 1
#define PUT 2
#define POST 3
#define IN
#define OUT
#define OPTIONAL
#define CONST const
#define VOID void
#define TRUE 1
#define FALSE 0
#define BOOL int
#define STRICT 1
#define IGNORE 0
#define INFINITE 0xFFFFFFFF
#define CALLBACK
#define WINAPI
#define near
#define far
#define small char
#define hyper long long
#define interface struct
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))
#define CreateFile CreateFileW
#define CreateWindow CreateWindowW
#define DrawText DrawTextW
#define GetMessage GetMessageW
#define GetObject GetObjectW
#define LoadString LoadStringW
#define PostMessage PostMessageW
#define SendMessage SendMessageW
#define Yield()
// Of X11.
#define Always 2
#define None 0L
#define Status int
#define Success 0
// Of Qt.
#define emit
#define foreach(a, b) for (a : b)
#define signals public
#define slots

// The host's log: lines on standard error, and in a file if it has one. From any thread.
void LogInfo(const char *format, ...) __attribute__((format(printf, 1, 2)));
void LogError(const char *format, ...) __attribute__((format(printf, 1, 2)));
void LogToFile(const std::string &path);

#endif
