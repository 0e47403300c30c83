// Rows in device memory, checked and preprocessed: what searches on a device read.
#include "cuda/prepared_rows.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "cpu/runtime/load.hpp"
#include "cuda/row_kernels.hpp"
#include "error.hpp"

namespace kernalign::cuda {
namespace {

std::int64_t size_of(Element element) { return element == Element::f64 ? 8 : element == Element::f32 ? 4 : 2; }

Buffer<double> uploaded(Queue& queue, const double* values, std::int64_t size) {
    if (!values) return {};
    return Buffer<double>(queue, std::vector<double>(values, values + size));
}

}  // namespace

Element element_of(const Rows& rows) {
    Element element = Element::f64;
    switch (rows.view.dtype) {
        case DType::f16:
            element = Element::f16;
            break;
        case DType::bf16:
            element = Element::bf16;
            break;
        case DType::f32:
            element = Element::f32;
            break;
        case DType::f64:
            break;
        default:
            require(false, rows.name + " must have a float dtype on a CUDA device, got integers");
    }
    const std::int64_t size = size_of(element);
    require(rows.view.col_stride == size || rows.cols() == 1,
            rows.name + " must have rows whose columns lie next to each other on a CUDA device, got columns " +
                std::to_string(rows.view.col_stride / size) + " elements apart");
    require(rows.view.row_stride % size == 0 && reinterpret_cast<std::uintptr_t>(rows.view.data) % size == 0,
            rows.name + " must be aligned to its elements on a CUDA device");
    return element;
}

AnyRows any_rows(const Rows& rows) {
    const Element element = element_of(rows);
    return {element, rows.view.data, rows.rows(), rows.cols(), rows.view.row_stride / size_of(element)};
}

void gather(Queue& queue, const AnyRows& rows, const std::vector<std::int64_t>& listed, void* to) {
    const Buffer<std::int64_t> there(queue, listed);
    rows.with(0, rows.count, [&](auto x) {
        using E = typename decltype(x)::Element;
        const Buffer<E> found(queue, std::int64_t(listed.size()) * x.cols);
        Gather<E> kernel;
        kernel.x = x;
        kernel.listed = there.get();
        kernel.out = Written<E>(found.get());
        launch(queue, std::int64_t(listed.size()), kernel);
        found.download(static_cast<E*>(to));
    });
}

PreparedRows::PreparedRows(Queue& queue, const Rows& rows, Similarity similarity, Monitor* monitor)
    : queue_(queue), rows_(rows), similarity_(similarity), element_(element_of(rows)) {
    const bool cosine = similarity == Similarity::cosine;
    if (cosine) rows_.unit_norm = false;
    std::vector<double> square;
    for (const bool preprocessed : {false, true}) {
        if (preprocessed && rows_.plain()) break;
        if (preprocessed) preprocess(false, false);
        square = squares(monitor);
        for (std::int64_t i = 0; i < count(); ++i) {
            const double of = square[std::size_t(i)];
            if (!std::isfinite(of)) say_what_is_wrong(i, false);
            if (of == 0 && (cosine || rows_.unit_norm)) say_what_is_wrong(i, true);
        }
    }
    if (!cosine) {
        overflows_ = std::any_of(square.begin(), square.end(), [](double s) { return !(s < 0x1p1000); });
        return;
    }
    const bool extreme =
        !std::all_of(square.begin(), square.end(), [](double s) { return s > 0x1p-900 && s < 0x1p900; });
    divisor_ = divisors(monitor);
    const bool divided = divisor_.get() != nullptr;
    if (extreme) {
        divisor_ = Buffer<double>();  // by which the rows that are written out are divided
        preprocess(true, divided);
    }
    if (extreme || divided) square = squares(monitor);
    for (double& s : square) s = 1 / std::sqrt(s);  // on the CPU: the bits of ExactRows
    factor_ = Buffer<double>(queue, square);
}

AnyRows PreparedRows::any() const {
    if (dense_.get()) return {Element::f64, dense_.get(), count(), cols(), cols()};
    return any_rows(rows_);
}

void PreparedRows::preprocess(bool unit_size, bool direction) {
    const Buffer<double> shift = uploaded(queue_, rows_.shift, cols()), scale = uploaded(queue_, rows_.scale, cols());
    dense_ = Buffer<double>();  // what it holds is not what is read
    Buffer<double> out(queue_, count() * cols());
    with([&](auto x) {
        Preprocess<typename decltype(x)::Element> kernel;
        kernel.x = x;
        kernel.clip = rows_.clip;
        kernel.shift = shift.get();
        kernel.scale = scale.get();
        kernel.zero_mean = rows_.zero_mean;
        kernel.unit_norm = rows_.unit_norm;
        kernel.unit_size = unit_size;
        kernel.direction = direction;
        kernel.out = Written<double>(out.get());
        launch(queue_, kernel.blocks(count()), kernel);
    });
    dense_ = std::move(out);
}

std::vector<double> PreparedRows::squares(Monitor* monitor) {
    Buffer<double> square(queue_, count()), largest(queue_, count());
    with([&](auto x) {
        Squares<typename decltype(x)::Element> kernel;
        kernel.x = x;
        kernel.squares = Written<double>(square.get());
        kernel.largest = Written<double>(largest.get());
        launch(queue_, kernel.blocks(count()), kernel);
    });
    queue_.wait(monitor);
    const std::vector<double> most = largest.values();
    largest_ = *std::max_element(most.begin(), most.end());
    return square.values();
}

Buffer<double> PreparedRows::divisors(Monitor* monitor) const {
    Buffer<double> found(queue_, count());
    with([&](auto x) {
        Divisors<typename decltype(x)::Element> kernel;
        kernel.x = x;
        kernel.divisors = Written<double>(found.get());
        launch(queue_, kernel.blocks(count()), kernel);
    });
    queue_.wait(monitor);
    const std::vector<double> by = found.values();
    if (std::all_of(by.begin(), by.end(), [](double divisor) { return divisor == 1; })) found = Buffer<double>();
    return found;
}

// The CPU's loader has the words, if there is anything to say.
void PreparedRows::say_what_is_wrong(std::int64_t row, bool unit_norm) const {
    Rows one = rows_;
    one.unit_norm = unit_norm;
    std::vector<char> values(std::size_t(cols() * size_of(element_)));
    queue_.download(values.data(), static_cast<const char*>(rows_.view.data) + row * rows_.view.row_stride,
                    values.size());
    one.view.data = values.data();
    one.view.row_stride = 0;
    one.view.col_stride = size_of(element_);
    std::vector<double> loaded(static_cast<std::size_t>(cols()));
    load_rows(one, row, row + 1, loaded.data(), cols());
}

}  // namespace kernalign::cuda
