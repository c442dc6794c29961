#include "smoothbound/noise.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "batch.hpp"
#include "kernels/kernels.hpp"
#include "smoothbound/detail/philox.hpp"

namespace smoothbound {

using namespace detail;

namespace {

constexpr std::size_t chunk = 1024;  // number of blocks whose words are made at a time
// This bit of the stream word marks the second block of an element.
constexpr std::uint32_t extra_bits_stream = 1u << 31;

Failure outside(std::span<const std::int64_t> numbers, std::int64_t most, const char* need) {
  for (const std::int64_t number : numbers) {
    if (number < 0 || number > most) {
      return {Error::bad_option, 0, 0, need, static_cast<double>(number)};
    }
  }
  return {};
}

template <class Point, class T>
Failure check(const Points<Point>& points, const NoiseRows& rows, std::span<T> out, int threads) {
  const std::size_t n = rows.points.size();
  if (rows.indices.size() != n || rows.draws.size() != n || rows.streams.size() != n) {
    return {Error::bad_option, 0, 0, "rows must be four spans of one length",
            static_cast<double>(n)};
  }
  if (points.size == 0 || out.size() % points.size != 0 || out.size() / points.size != n) {
    return {Error::bad_output, 0, 0, "out must have the size of a point for each row",
            static_cast<double>(out.size())};
  }
  if (threads < 1) return {Error::bad_option, 0, 0, "threads must be at least 1", 1.0 * threads};
  Failure failure = outside(rows.points, static_cast<std::int64_t>(points.count) - 1,
                            "rows must be at least 0 and below the number of points");
  if (!failure) {
    failure = outside(rows.indices, 0x7fffffff, "indices must be at least 0 and below 2^31");
  }
  if (!failure) failure = outside(rows.draws, 0xffffffff, "draws must be at least 0, below 2^32");
  if (!failure) {
    failure = outside(rows.streams, 0x7fffffff, "streams must be at least 0 and below 2^31");
  }
  return failure;
}

// The counter of a row's block 0.
PhiloxBlock counter_of(const NoiseRows& rows, std::size_t i) {
  return {{0, static_cast<std::uint32_t>(rows.draws[i]),
           static_cast<std::uint32_t>(rows.indices[i]),
           static_cast<std::uint32_t>(rows.streams[i])}};
}

// The words of up to `chunk` blocks of one counter: word j of block i at words[j * chunk + i].
struct Words {
  std::vector<std::uint32_t> blocks = std::vector<std::uint32_t>(chunk);
  std::vector<std::uint32_t> words = std::vector<std::uint32_t>(4 * chunk);

  void make(const PhiloxBlock& counter, std::uint64_t seed, std::size_t n) {
    kernels().philox_words(blocks.data(), n, counter, seed, words.data(), chunk);
  }
  void make_from(std::size_t first, const PhiloxBlock& counter, std::uint64_t seed, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) blocks[i] = static_cast<std::uint32_t>(first + i);
    make(counter, seed, n);
  }
  const std::uint32_t* word(std::size_t j) const { return words.data() + j * chunk; }
};

// Calls part(k, first element, count) for each part k of the blocks first, ..., first + n - 1 of a
// row of `size` elements. Part k of block b is the element k * blocks + b.
template <class Part>
void for_each_part(std::size_t size, std::size_t blocks, std::size_t first, std::size_t n,
                   std::size_t parts, const Part& part) {
  for (std::size_t k = 0; k < parts; ++k) {
    const std::size_t element = k * blocks + first;
    if (element < size) part(k, element, std::min(n, size - element));
  }
}

void lattice_part(const std::uint32_t* words, unsigned shift, const std::int32_t* guide,
                  const std::int32_t* point, std::size_t n, double steps, float* out,
                  std::uint8_t* undecided) {
  kernels().lattice_float(words, shift, guide, point, n, static_cast<float>(steps), out, undecided);
}
void lattice_part(const std::uint32_t* words, unsigned shift, const std::int32_t* guide,
                  const std::int32_t* point, std::size_t n, double steps, double* out,
                  std::uint8_t* undecided) {
  kernels().lattice_double(words, shift, guide, point, n, steps, out, undecided);
}

void shift_part(const float* point, const float* normal, float sigma, std::size_t n, float* out) {
  kernels().shift_float(point, normal, sigma, n, out);
}
void shift_part(const double* point, const float* normal, double sigma, std::size_t n,
                double* out) {
  kernels().shift_double(point, normal, sigma, n, out);
}

// Adds the noise of one row after another, in memory of its own: one per thread.
class LatticeWorker {
 public:
  LatticeWorker(const LatticeTable& table, std::uint64_t seed)
      : table_(table), seed_(seed), flags_(chunk + 8) {}

  template <class T>
  void add(const std::int32_t* point, std::size_t size, PhiloxBlock counter, T* out) {
    const std::size_t blocks = (size + 7) / 8;
    for (std::size_t first = 0; first < blocks; first += chunk) {
      const std::size_t n = std::min(chunk, blocks - first);
      words_.make_from(first, counter, seed_, n);
      elements_.clear();
      digits_.clear();
      for_each_part(size, blocks, first, n, 8,
                    [&](std::size_t k, std::size_t at, std::size_t count) {
                      const unsigned shift = 16 * (k % 2);
                      const std::uint32_t* words = words_.word(k / 2);
                      lattice_part(words, shift, table_.guide.data(), point + at, count,
                                   table_.steps, out + at, flags_.data());
                      collect(words, shift, at, count);
                    });
      decide(point, counter, out);
    }
  }

 private:
  // Notes those of the `count` elements from `at` on that the leading bits do not decide.
  void collect(const std::uint32_t* words, unsigned shift, std::size_t at, std::size_t count) {
    std::memset(flags_.data() + count, 0, 8);
    for (std::size_t i = 0; i < count; i += 8) {
      std::uint64_t eight = 0;
      std::memcpy(&eight, flags_.data() + i, 8);
      if (eight == 0) continue;
      for (std::size_t j = i; j < i + 8; ++j) {
        if (flags_[j] == 0) continue;
        elements_.push_back(static_cast<std::uint32_t>(at + j));
        digits_.push_back(words[j] >> shift & 0xffffu);
      }
    }
  }

  // Gives each noted element 64 more bits, from a block of its own.
  template <class T>
  void decide(const std::int32_t* point, PhiloxBlock counter, T* out) {
    counter.word[3] |= extra_bits_stream;
    for (std::size_t start = 0; start < elements_.size(); start += chunk) {
      const std::size_t n = std::min(chunk, elements_.size() - start);
      std::copy_n(elements_.begin() + static_cast<std::ptrdiff_t>(start), n, words_.blocks.begin());
      words_.make(counter, seed_, n);
      for (std::size_t i = 0; i < n; ++i) {
        const std::uint64_t low = words_.word(0)[i] | static_cast<std::uint64_t>(words_.word(1)[i])
                                                          << 32;
        const std::uint32_t digit = digits_[start + i];
        const std::int32_t size = reached(digit & 0x7fffu, low);
        const std::size_t e = elements_[start + i];
        out[e] = static_cast<T>(point[e] + (digit < 0x8000u ? size : -size)) /
                 static_cast<T>(table_.steps);
      }
    }
  }

  std::int32_t reached(std::uint32_t high, std::uint64_t low) const {
    // A binary search among the thresholds with the same leading bits, without a branch on `low`.
    std::int32_t first = below(table_.guide[high]);
    std::int32_t left = below(table_.guide[high + 1]) - first;
    while (left > 0) {
      const std::int32_t half = (left + 1) / 2;
      first += table_.low[static_cast<std::size_t>(first + half - 1)] <= low ? half : 0;
      left -= half;
    }
    return first;
  }

  static std::int32_t below(std::int32_t guide) { return guide < 0 ? -1 - guide : guide; }

  const LatticeTable& table_;
  std::uint64_t seed_;
  Words words_;
  std::vector<std::uint8_t> flags_;
  std::vector<std::uint32_t> elements_, digits_;
};

}  // namespace

LatticeNoise::LatticeNoise(std::span<const std::int32_t> high, std::span<const std::uint64_t> low,
                           double steps)
    : table_{{low.begin(), low.end()}, std::vector<std::int32_t>(0x8001), steps} {
  if (high.size() > max_thresholds) return;  // the positions might not fit, and add() refuses it
  std::size_t t = 0;
  for (std::size_t leading = 0; leading < table_.guide.size(); ++leading) {
    const auto before = static_cast<std::int32_t>(t);
    while (t < high.size() && std::cmp_equal(high[t], leading)) ++t;
    table_.guide[leading] = std::cmp_equal(t, before) ? before : -1 - before;
  }
}

template <class T>
Failure LatticeNoise::add(const Points<std::int32_t>& points, const NoiseRows& rows,
                          std::uint64_t seed, std::span<T> out, int threads) const noexcept {
  if (largest() > max_thresholds) {
    return {Error::bad_option, 0, 0, "thresholds must be fewer than 2^24",
            static_cast<double>(largest())};
  }
  if (const Failure failure = check(points, rows, out, threads)) return failure;
  return for_each_input(rows.points.size(), threads, [&] {
    return [&, worker = LatticeWorker(table_, seed)](std::size_t i) mutable {
      worker.add(points.data + static_cast<std::size_t>(rows.points[i]) * points.size, points.size,
                 counter_of(rows, i), out.data() + i * points.size);
      return true;
    };
  });
}

template <class T>
Failure add_gaussian(const Points<T>& points, const NoiseRows& rows, double sigma,
                     std::uint64_t seed, std::span<T> out, int threads) noexcept {
  if (const Failure failure = check(points, rows, out, threads)) return failure;
  return for_each_input(rows.points.size(), threads, [&] {
    return [&, words = Words(), normals = std::vector<float>(4 * chunk)](std::size_t i) mutable {
      const T* point = points.data + static_cast<std::size_t>(rows.points[i]) * points.size;
      T* row = out.data() + i * points.size;
      const std::size_t blocks = (points.size + 3) / 4;
      for (std::size_t first = 0; first < blocks; first += chunk) {
        const std::size_t n = std::min(chunk, blocks - first);
        words.make_from(first, counter_of(rows, i), seed, n);
        for (const std::size_t k : {0, 2}) {
          kernels().normals(words.word(k), words.word(k + 1), n, normals.data() + k * chunk,
                            normals.data() + (k + 1) * chunk);
        }
        for_each_part(points.size, blocks, first, n, 4,
                      [&](std::size_t k, std::size_t at, std::size_t count) {
                        shift_part(point + at, normals.data() + k * chunk, static_cast<T>(sigma),
                                   count, row + at);
                      });
      }
      return true;
    };
  });
}

template Failure LatticeNoise::add(const Points<std::int32_t>&, const NoiseRows&, std::uint64_t,
                                   std::span<float>, int) const noexcept;
template Failure LatticeNoise::add(const Points<std::int32_t>&, const NoiseRows&, std::uint64_t,
                                   std::span<double>, int) const noexcept;
template Failure add_gaussian(const Points<float>&, const NoiseRows&, double, std::uint64_t,
                              std::span<float>, int) noexcept;
template Failure add_gaussian(const Points<double>&, const NoiseRows&, double, std::uint64_t,
                              std::span<double>, int) noexcept;

}  // namespace smoothbound
