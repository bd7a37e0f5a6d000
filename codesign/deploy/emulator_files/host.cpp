// Loads emulators of networks, all at once, and has 8 threads run the test set of each through both of its interfaces.
// Every integer must be the expected one. Usage: host ./NAME_vN.so ...; the folder test is looked for beside each.
#include <dlfcn.h>

#include <any>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "emulator.h"

namespace {

constexpr int THREADS = 8;

[[noreturn]] void fail(const std::string &what) {
  std::fprintf(stderr, "host: %s\n", what.c_str());
  std::exit(2);
}

template <class T>
std::vector<T> read_all(const std::string &path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) fail(path + ": cannot be read");
  std::vector<T> found(static_cast<std::size_t>(file.tellg()) / sizeof(T));
  file.seekg(0);
  file.read(reinterpret_cast<char *>(found.data()), static_cast<std::streamsize>(found.size() * sizeof(T)));
  return found;
}

// A loaded library, with its test set.
struct Emulator {
  std::string path;
  void *library;
  hls4mlEmulator::create_model_cls *create;
  hls4mlEmulator::destroy_model_cls *destroy;
  int (*predict_codes)(const std::int64_t *, std::int64_t *, std::size_t);
  int (*predict)(const float *, float *, std::size_t);
  std::size_t inputs, outputs;
  std::vector<float> given;
  std::vector<std::int64_t> codes, wanted;

  template <class T>
  T *symbol(const std::string &name) const {
    void *found = dlsym(library, name.c_str());
    if (!found) fail(path + ": no symbol " + name);
    return reinterpret_cast<T *>(found);
  }

  explicit Emulator(const std::string &path) : path(path), library(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (!library) fail(dlerror());
    const std::size_t slash = path.rfind('/'), begin = slash == std::string::npos ? 0 : slash + 1;
    const std::string folder = path.substr(0, begin) + "test/", name = path.substr(begin, path.rfind("_v") - begin);
    create = symbol<hls4mlEmulator::create_model_cls>("create_model");
    destroy = symbol<hls4mlEmulator::destroy_model_cls>("destroy_model");
    predict = symbol<int(const float *, float *, std::size_t)>(name + "_predict");
    predict_codes = symbol<int(const std::int64_t *, std::int64_t *, std::size_t)>(name + "_predict_codes");
    inputs = symbol<std::size_t()>(name + "_inputs")();
    outputs = symbol<std::size_t()>(name + "_outputs")();
    given = read_all<float>(folder + "inputs.f32");
    codes = read_all<std::int64_t>(folder + "inputs.i64");
    wanted = read_all<std::int64_t>(folder + "outputs.i64");
  }
  std::size_t samples() const { return wanted.size() / outputs; }
  const float *sample(std::size_t index) const { return given.data() + index * inputs; }

  // Samples with another integer than wanted: of one interface or of the other.
  std::size_t compare(std::size_t start, std::size_t stop) const {
    std::size_t wrong = 0;
    std::vector<std::int64_t> found(outputs), batch((stop - start) * outputs);
    std::vector<float> real((stop - start) * outputs), one(outputs);
    if (predict(sample(start), real.data(), stop - start)) fail(path + ": predict failed");
    if (predict_codes(codes.data() + start * inputs, batch.data(), stop - start)) fail(path + ": predict_codes failed");
    const std::unique_ptr<hls4mlEmulator::Model, hls4mlEmulator::destroy_model_cls *> model(create(), destroy);
    for (std::size_t index = start; index < stop; ++index) {
      model->prepare_input(sample(index));
      model->predict();
      model->read_result(found.data());
      model->read_result(one.data());
      bool same = true;
      for (std::size_t place = 0; place < outputs; ++place) {
        const std::size_t there = (index - start) * outputs + place;
        same &= found[place] == wanted[index * outputs + place] && batch[there] == found[place] && real[there] == one[place];
      }
      wrong += !same;
    }
    return wrong;
  }
};

}  // namespace

int main(int count, char **arguments) {
  if (count < 2) fail("usage: host ./NAME_vN.so ...");
  std::vector<std::unique_ptr<Emulator>> emulators;
  for (int index = 1; index < count; ++index) emulators.push_back(std::make_unique<Emulator>(arguments[index]));
  std::vector<std::atomic<std::size_t>> wrong(emulators.size());
  std::vector<std::thread> threads;
  for (int thread = 0; thread < THREADS; ++thread)
    threads.emplace_back([&, thread] {
      for (std::size_t index = 0; index < emulators.size(); ++index) {
        const Emulator &emulator = *emulators[(index + thread) % emulators.size()];  // several models at any time
        const std::size_t samples = emulator.samples();
        const std::size_t start = samples * thread / THREADS, stop = samples * (thread + 1) / THREADS;
        if (start < stop) wrong[(index + thread) % emulators.size()] += emulator.compare(start, stop);
      }
    });
  for (std::thread &thread : threads) thread.join();
  bool all = true;
  for (std::size_t index = 0; index < emulators.size(); ++index) {
    std::printf("%s: %zu of %zu samples with other integers\n", emulators[index]->path.c_str(), wrong[index].load(),
                emulators[index]->samples());
    all &= wrong[index] == 0;
  }
  return all ? 0 : 1;
}
