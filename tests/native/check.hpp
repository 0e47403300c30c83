// A checker small enough to read: TEST defines a test, CHECK fails it, and main runs every test of the one source file.
#pragma once

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

namespace check {

struct Test {
    const char* name;
    void (*body)();
};

inline std::vector<Test>& tests() {
    static std::vector<Test> all;
    return all;
}

inline int& failures() {
    static int count = 0;
    return count;
}

inline bool add(const char* name, void (*body)()) {
    tests().push_back({name, body});
    return true;
}

inline void fail(const char* file, int line, const std::string& what) {
    ++failures();
    std::printf("  %s:%d: %s\n", file, line, what.c_str());
}

// |a - b| <= tolerance * max(1, |b|): false for nan.
inline bool near(double a, double b, double tolerance) {
    const double size = b < 0 ? -b : b, gap = a < b ? b - a : a - b;
    return gap <= tolerance * (size > 1 ? size : 1);
}

}  // namespace check

#define TEST(name)                                            \
    static void name();                                       \
    static const bool added_##name = check::add(#name, name); \
    static void name()

#define CHECK(condition)                                                      \
    do {                                                                      \
        if (!(condition)) check::fail(__FILE__, __LINE__, "not " #condition); \
    } while (false)

#define CHECK_NEAR(a, b, tolerance)                                                                    \
    do {                                                                                               \
        const double check_a = (a), check_b = (b);                                                     \
        if (!check::near(check_a, check_b, tolerance))                                                 \
            check::fail(__FILE__, __LINE__,                                                            \
                        #a " = " + std::to_string(check_a) + ", expected " + std::to_string(check_b)); \
    } while (false)

// The statement throws an Exception whose message holds `text`.
#define CHECK_THROWS(statement, Exception, text)                                                            \
    do {                                                                                                    \
        std::string check_got = "nothing was thrown";                                                       \
        try {                                                                                               \
            statement;                                                                                      \
        } catch (const Exception& check_error) {                                                            \
            check_got = check_error.what();                                                                 \
        }                                                                                                   \
        if (check_got.find(text) == std::string::npos)                                                      \
            check::fail(__FILE__, __LINE__, std::string("expected \"") + (text) + "\", got: " + check_got); \
    } while (false)

int main() {
    for (const check::Test& test : check::tests()) {
        const int before = check::failures();
        try {
            test.body();
        } catch (const std::exception& error) {
            check::fail(test.name, 0, std::string("threw ") + error.what());
        }
        std::printf("%s %s\n", check::failures() == before ? "ok  " : "FAIL", test.name);
        std::fflush(stdout);  // a sanitizer may end the next test, and us
    }
    std::printf("%d failures in %zu tests\n", check::failures(), check::tests().size());
    return check::failures() == 0 && !check::tests().empty() ? 0 : 1;
}
