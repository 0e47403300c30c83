// What the moments of overlaps need of neighbour graphs: sums over edges that meet (lists.hpp).
#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>

#include "cpu/runtime/parallel.hpp"
#include "error.hpp"
#include "lists.hpp"

namespace kernalign {
namespace {

constexpr std::int64_t kRows = 1024;  // whose sums are added before those of others

double weight(const Graph& graph, std::int64_t edge) { return graph.weight ? graph.weight[edge] : 1.0; }

std::vector<double> degrees(const Graph& graph) {
    std::vector<double> sums(std::size_t(graph.n), 0.0);
    for (std::int64_t e = 0; e < graph.begin[graph.n]; ++e) sums[std::size_t(graph.index[e])] += weight(graph, e);
    return sums;
}

// The same edges by the items that they point to: w_ji is in row i.
class Reversed {
  public:
    explicit Reversed(const Graph& graph) : begin_(std::size_t(graph.n) + 1, 0) {
        const std::int64_t edges = graph.begin[graph.n];
        for (std::int64_t e = 0; e < edges; ++e) ++begin_[std::size_t(graph.index[e]) + 1];
        for (std::size_t i = 1; i < begin_.size(); ++i) begin_[i] += begin_[i - 1];
        std::vector<std::int64_t> next(begin_.begin(), begin_.end() - 1);
        index_.resize(std::size_t(edges));
        if (graph.weight) weight_.resize(std::size_t(edges));
        for (std::int64_t i = 0; i < graph.n; ++i)
            for (std::int64_t e = graph.begin[i]; e < graph.begin[i + 1]; ++e) {
                const auto at = std::size_t(next[std::size_t(graph.index[e])]++);
                index_[at] = std::int32_t(i);
                if (graph.weight) weight_[at] = graph.weight[e];
            }
    }
    Graph graph() const {
        return {index_.data(), begin_.data(), weight_.empty() ? nullptr : weight_.data(),
                std::int64_t(begin_.size()) - 1};
    }

  private:
    std::vector<std::int64_t> begin_;
    std::vector<std::int32_t> index_;
    std::vector<double> weight_;
};

// w_ij and w_ji of one i, for any j.
struct Ends {
    double out = 0, in = 0;
};
class Marks {
  public:
    explicit Marks(std::int64_t n) : ends_(std::size_t(n)) {}
    void set(const Graph& out, const Graph& in, std::int64_t i) {
        write(out, i, &Ends::out, true);
        write(in, i, &Ends::in, true);
    }
    void clear(const Graph& out, const Graph& in, std::int64_t i) {
        write(out, i, &Ends::out, false);
        write(in, i, &Ends::in, false);
    }
    const Ends& operator[](std::int32_t j) const { return ends_[std::size_t(j)]; }

  private:
    void write(const Graph& graph, std::int64_t i, double Ends::* end, bool known) {
        for (std::int64_t e = graph.begin[i]; e < graph.begin[i + 1]; ++e)
            ends_[std::size_t(graph.index[e])].*end = known ? weight(graph, e) : 0.0;
    }
    std::vector<Ends> ends_;
};

// What a worker needs of the graph that it is at: its rows come one block after the other.
struct Turned {
    std::optional<std::size_t> graph;
    std::optional<Reversed> reversed;
    std::optional<Marks> marks;
    void take(const Graph& own, std::size_t at) {
        if (graph == at) return;
        reversed.emplace(own);
        if (!marks) marks.emplace(own.n);
        graph = at;
    }
};

double row_sum(const Graph& graph, std::int64_t i) {
    if (!graph.weight) return double(graph.begin[i + 1] - graph.begin[i]);
    double sum = 0;
    for (std::int64_t e = graph.begin[i]; e < graph.begin[i + 1]; ++e) sum += graph.weight[e];
    return sum;
}

// Adds what belongs to row i: edges i -> j, and what hangs on i.
void add_row(const Graph& graph, const Graph& reversed, const std::vector<double>& degree,
             const std::vector<double>& row, const Marks& marks, std::int64_t i, std::array<double, kEdgeSums>& sum) {
    const double r = row[std::size_t(i)], d = degree[std::size_t(i)];
    double square = 0, cube = 0, mutual = 0, square_mutual = 0, to_rows = 0, to_degrees = 0, transitive = 0, cyclic = 0;
    for (std::int64_t e = graph.begin[i]; e < graph.begin[i + 1]; ++e) {
        const std::int32_t j = graph.index[e];
        const double w = weight(graph, e), back = marks[j].in;
        square += w * w;
        cube += w * w * w;
        mutual += w * back;
        square_mutual += w * w * back;
        to_rows += w * row[std::size_t(j)];
        to_degrees += w * degree[std::size_t(j)];
        double closed = 0, turned = 0;
        for (std::int64_t f = graph.begin[j]; f < graph.begin[j + 1]; ++f) {
            const Ends& ends = marks[graph.index[f]];
            closed += weight(graph, f) * ends.out;
            turned += weight(graph, f) * ends.in;
        }
        transitive += w * closed;
        cyclic += w * turned;
    }
    double square_in = 0;
    for (std::int64_t e = reversed.begin[i]; e < reversed.begin[i + 1]; ++e)
        square_in += weight(reversed, e) * weight(reversed, e);
    const std::array<double, kEdgeSums> own{
        r,          square,     mutual,      r * r,          r * d,       d * d,          cube,          square_mutual,
        r * r * r,  r * r * d,  r * d * d,   d * d * d,      square * r,  square * d,     square_in * r, square_in * d,
        mutual * r, mutual * d, r * to_rows, r * to_degrees, d * to_rows, d * to_degrees, transitive,    cyclic};
    for (std::size_t s = 0; s < kEdgeSums; ++s) sum[s] += own[s];
}

}  // namespace

void check_graph(const Graph& graph) {
    std::vector<std::int64_t> seen(std::size_t(graph.n), -1);
    for (std::int64_t i = 0; i < graph.n; ++i)
        for (std::int64_t e = graph.begin[i]; e < graph.begin[i + 1]; ++e) {
            const std::int32_t j = graph.index[e];
            if (j < 0 || j >= graph.n || j == i || seen[std::size_t(j)] == i)
                throw std::invalid_argument(
                    "a graph's rows must point to other items from 0 to n - 1 = " + std::to_string(graph.n - 1) +
                    ", each once, got " + std::to_string(j) + " in row " + std::to_string(i));
            seen[std::size_t(j)] = i;
        }
}

std::array<double, kEdgeSums> edge_sums(const Graph& graph, int threads, Monitor* monitor) {
    const std::int64_t n = graph.n, tasks = (n + kRows - 1) / kRows;
    threads = int(std::min<std::int64_t>(resolve_threads(threads), std::max<std::int64_t>(1, tasks)));
    const Reversed turned(graph);
    const Graph reversed = turned.graph();
    const std::vector<double> degree = degrees(graph);
    std::vector<double> row(static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < n; ++i) row[std::size_t(i)] = row_sum(graph, i);
    std::vector<std::array<double, kEdgeSums>> parts(std::size_t(tasks), std::array<double, kEdgeSums>{});
    std::vector<Marks> scratch(static_cast<std::size_t>(threads), Marks(n));
    Progress progress(monitor, tasks);
    parallel_for(tasks, threads, progress, [&](std::int64_t task, int worker) {
        Marks& marks = scratch[std::size_t(worker)];
        for (std::int64_t i = task * kRows; i < std::min(n, (task + 1) * kRows); ++i) {
            marks.set(graph, reversed, i);
            add_row(graph, reversed, degree, row, marks, i, parts[std::size_t(task)]);
            marks.clear(graph, reversed, i);
        }
    });
    std::array<double, kEdgeSums> sums{};
    for (const auto& part : parts)
        for (std::size_t s = 0; s < kEdgeSums; ++s) sums[s] += part[s];
    return sums;
}

GraphProducts graph_products(const std::vector<Graph>& graphs, int threads, Monitor* monitor) {
    const std::size_t count = graphs.size();
    std::vector<std::vector<double>> degree;
    for (const Graph& graph : graphs) {
        require(graph.n == graphs[0].n, "graphs must have the same number of items, got " + std::to_string(graph.n) +
                                            " and " + std::to_string(graphs[0].n));
        degree.push_back(degrees(graph));
    }
    GraphProducts out;
    const std::array<std::vector<double>*, 3> tables{&out.same, &out.reverse, &out.degrees};
    for (auto* table : tables) table->assign(count * count, 0.0);
    if (count == 0) return out;
    const std::int64_t n = graphs[0].n, blocks = (n + kRows - 1) / kRows, tasks = std::int64_t(count) * blocks;
    threads = int(std::min<std::int64_t>(resolve_threads(threads), std::max<std::int64_t>(1, tasks)));
    std::vector<std::vector<std::array<double, 3>>> parts(static_cast<std::size_t>(tasks));
    std::vector<Turned> scratch(static_cast<std::size_t>(threads));
    Progress progress(monitor, tasks);
    parallel_for(tasks, threads, progress, [&](std::int64_t task, int worker) {
        const std::size_t a = std::size_t(task / blocks);
        const Graph& own = graphs[a];
        Turned& turned = scratch[std::size_t(worker)];
        turned.take(own, a);
        const Graph reversed = turned.reversed->graph();
        auto& part = parts[std::size_t(task)];
        part.assign(count - a, {});
        for (std::int64_t i = task % blocks * kRows; i < std::min(n, (task % blocks + 1) * kRows); ++i) {
            turned.marks->set(own, reversed, i);
            for (std::size_t b = a; b < count; ++b) {
                const Graph& other = graphs[b];
                double same = 0, reverse = 0;
                for (std::int64_t e = other.begin[i]; e < other.begin[i + 1]; ++e) {
                    const Ends& ends = (*turned.marks)[other.index[e]];
                    same += weight(other, e) * ends.out;
                    reverse += weight(other, e) * ends.in;
                }
                part[b - a][0] += same;
                part[b - a][1] += reverse;
                part[b - a][2] += degree[a][std::size_t(i)] * degree[b][std::size_t(i)];
            }
            turned.marks->clear(own, reversed, i);
        }
    });
    for (std::int64_t task = 0; task < tasks; ++task) {
        const std::size_t a = std::size_t(task / blocks);
        for (std::size_t b = a; b < count; ++b)
            for (std::size_t t = 0; t < tables.size(); ++t)
                (*tables[t])[a * count + b] += parts[std::size_t(task)][b - a][t];
    }
    for (auto* table : tables)
        for (std::size_t a = 0; a < count; ++a)
            for (std::size_t b = 0; b < a; ++b) (*table)[a * count + b] = (*table)[b * count + a];
    return out;
}

}  // namespace kernalign
