// The interface through which CMS software loads emulators of neural networks: declares what
// https://github.com/cms-hls4ml/hls4mlEmulatorExtras (include/hls4ml/emulator.h) declares of a model, in the same order,
// so that either header will do. Its loader, which a model does not need, is left out.
#ifndef HLS4ML_EMULATOR_H_
#define HLS4ML_EMULATOR_H_

#include <any>

namespace hls4mlEmulator {

class Model {
 public:
  virtual void prepare_input(std::any input) = 0;
  virtual void predict() = 0;
  virtual void read_result(std::any result) = 0;
  virtual ~Model() = default;
};

typedef Model *create_model_cls();
typedef void destroy_model_cls(Model *);

}  // namespace hls4mlEmulator

#endif
