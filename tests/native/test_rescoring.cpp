// Protects the rescoring of candidates: their order, what is skipped, ties, short lists and refusals.
#include "rescoring.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "cpu/neighbors/exact_rows.hpp"
#include "data.hpp"

using namespace kernalign;

TEST(the_best_candidates_are_those_of_the_search) {
    const auto x = check::gaussian<float>(200, 7, 1);
    for (const Similarity similarity : {Similarity::cosine, Similarity::dot, Similarity::euclidean}) {
        const ExactRows rows(x.all(), similarity, 1, nullptr);
        const Neighbors whole = nearest_neighbors(x.all(), 5, similarity, Detail::lists, 1, nullptr);
        std::vector<std::int32_t> queries, candidates;
        for (std::int32_t i = 0; i < 200; i += 2) {
            queries.push_back(i);
            for (std::int32_t j = 199; j >= 0; --j) candidates.push_back(j);
        }
        for (const int threads : {1, 3}) {
            const Neighbors found =
                best_candidates(rows, queries.data(), 100, candidates.data(), 200, 5, threads, nullptr);
            for (std::size_t q = 0; q < 100; ++q)
                for (std::size_t place = 0; place < 5; ++place) {
                    CHECK(found.index[q * 5 + place] == whole.index[2 * q * 5 + place]);
                    CHECK(found.similarity[q * 5 + place] == whole.similarity[2 * q * 5 + place]);
                }
        }
    }
}

TEST(self_missing_and_repeated_candidates_are_skipped) {
    const std::vector<double> values = {0, 1, -1, 3};
    Rows x;
    x.view = {values.data(), 4, 1, 8, 8, DType::f64};
    const ExactRows rows(x, Similarity::euclidean, 1, nullptr);
    const std::vector<std::int32_t> queries = {0, 3}, candidates = {0, 2, 2, -1, 1, -1, 3, 3, 3, 0};
    const Neighbors one = best_candidates(rows, queries.data(), 2, candidates.data(), 5, 1, 1, nullptr);
    CHECK(one.index[0] == 1);
    CHECK(one.tie[0] == 1);
    CHECK(one.index[1] == 0);
    CHECK(one.tie[1] == 0);
    const Neighbors two = best_candidates(rows, queries.data(), 2, candidates.data(), 5, 2, 1, nullptr);
    CHECK(two.index[1] == 2);
    CHECK(two.tie[0] == 0);
    CHECK(two.index[3] == -1);
    CHECK(two.similarity[3] == -std::numeric_limits<double>::infinity());
}

TEST(indices_beyond_the_rows_are_refused) {
    const auto x = check::gaussian<double>(5, 2, 1);
    const ExactRows rows(x.all(), Similarity::dot, 1, nullptr);
    const std::vector<std::int32_t> zero = {0}, five = {5}, negative = {-1};
    CHECK_THROWS(best_candidates(rows, zero.data(), 1, five.data(), 1, 1, 1, nullptr), std::invalid_argument,
                 "rows of an array of 5");
    CHECK_THROWS(best_candidates(rows, negative.data(), 1, zero.data(), 1, 1, 1, nullptr), std::invalid_argument,
                 "rows of an array of 5");
}

TEST(rows_of_another_array_find_what_they_would_find_as_rows) {
    const auto x = check::gaussian<float>(300, 7, 1);
    const auto apart = check::gaussian<float>(300, 7, 1);  // the same values elsewhere: no query is a row
    const std::vector<std::int32_t> queries = {0, 299, 17, 5};
    for (const Similarity similarity : {Similarity::cosine, Similarity::dot, Similarity::euclidean}) {
        const ExactRows rows(x.all(), similarity, 1, nullptr), asking(apart.all(), similarity, 1, nullptr);
        const Neighbors without = nearest_of_rows(rows, queries.data(), 4, 5, 1, nullptr);
        for (const int threads : {1, 3}) {
            const Neighbors with = nearest_of_rows(rows, queries.data(), 4, 6, threads, nullptr, &asking);
            for (std::size_t q = 0; q < 4; ++q) {
                std::vector<std::int32_t> others;
                for (std::size_t place = 0; place < 6; ++place)
                    if (with.index[q * 6 + place] != queries[q]) others.push_back(with.index[q * 6 + place]);
                others.resize(5);  // a long row may find others before itself by its dot product
                for (std::size_t place = 0; place < 5; ++place) CHECK(others[place] == without.index[q * 5 + place]);
            }
        }
    }
    const ExactRows dot(x.all(), Similarity::dot, 1, nullptr), cosine(apart.all(), Similarity::cosine, 1, nullptr);
    CHECK_THROWS(nearest_of_rows(dot, queries.data(), 4, 5, 1, nullptr, &cosine), std::invalid_argument,
                 "the similarity of the rows");
    CHECK_THROWS(nearest_of_rows(dot, queries.data(), 4, 301, 1, nullptr, &dot), std::invalid_argument,
                 "between 1 and 300");
}
