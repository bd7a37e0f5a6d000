// Layers that hls4ml has not, or not exactly: an element with constants, and elements chosen by constants.
//
// One source for all compilers: arrays, streams and fixed-point types are whatever the project has. Pragmas that a
// compiler does not know are comments to it.
#ifndef NNET_CODESIGN_H_
#define NNET_CODESIGN_H_

#if defined(SYCL_LANGUAGE_VERSION)
#define CODESIGN_CONSTANT static constexpr
#elif defined(__INTELFPGA_COMPILER__)
#define CODESIGN_CONSTANT hls_init_on_powerup static const
#else
#define CODESIGN_CONSTANT static const
#endif
#ifdef PRAGMA_DATA_PACK
#define CODESIGN_PACK(variable) PRAGMA_DATA_PACK(variable)
#else
#define CODESIGN_PACK(variable)
#endif

namespace codesign {

// What is computed of an element x, of the constants first[i] and second[j]; exact, as long as y_T holds the result.

struct affine {
    template <class y_T, class x_T, class first_T, class second_T, unsigned n>
    static y_T of(const x_T &x, const first_T *first, const second_T *second, unsigned i, unsigned j) {
        #pragma HLS INLINE
        return y_T(x * first[i] + second[j]);
    }
};

struct at_least {
    template <class y_T, class x_T, class first_T, class second_T, unsigned n>
    static y_T of(const x_T &x, const first_T *first, const second_T *, unsigned i, unsigned) {
        #pragma HLS INLINE
        return x < first[i] ? y_T(first[i]) : y_T(x);
    }
};

struct at_most {
    template <class y_T, class x_T, class first_T, class second_T, unsigned n>
    static y_T of(const x_T &x, const first_T *first, const second_T *, unsigned i, unsigned) {
        #pragma HLS INLINE
        return first[i] < x ? y_T(first[i]) : y_T(x);
    }
};

struct between {
    template <class y_T, class x_T, class first_T, class second_T, unsigned n>
    static y_T of(const x_T &x, const first_T *first, const second_T *second, unsigned i, unsigned j) {
        #pragma HLS INLINE
        return x < first[i] ? y_T(first[i]) : second[j] < x ? y_T(second[j]) : y_T(x);
    }
};

// first is a table of n entries, a power of two; x times second is a whole number, taken modulo n.
struct lookup {
    template <class y_T, class x_T, class first_T, class second_T, unsigned n>
    static y_T of(const x_T &x, const first_T *first, const second_T *second, unsigned, unsigned) {
        #pragma HLS INLINE
        return y_T(first[(x * second[0]).to_int() & (n - 1)]);
    }
};

// Which of n constants goes with element j of word i: there is one for all, one for each place in a word, or one each.
template <unsigned n, unsigned size> unsigned constant(unsigned i, unsigned j) {
    #pragma HLS INLINE
    return n > size ? i * size + j : j % n;
}

template <class x_T, class y_T, class CONFIG_T, class x_A, class y_A>
void elementwise(x_A &x, y_A &y, const typename CONFIG_T::first_t first[CONFIG_T::n_first],
                 const typename CONFIG_T::second_t second[CONFIG_T::n_second]) {
    #pragma HLS function_instantiate variable=first
    #pragma HLS function_instantiate variable=second
    #pragma HLS ARRAY_PARTITION variable=first
    #pragma HLS ARRAY_PARTITION variable=second
    #pragma unroll
    for (unsigned i = 0; i < CONFIG_T::n_in; i++) {
        #pragma HLS UNROLL
        y[i] = CONFIG_T::operation::template of<y_T, x_T, typename CONFIG_T::first_t, typename CONFIG_T::second_t,
                                                CONFIG_T::n_first>(
            x[i], first, second, constant<CONFIG_T::n_first, CONFIG_T::n_in>(0, i),
            constant<CONFIG_T::n_second, CONFIG_T::n_in>(0, i));
    }
}

template <class x_T, class y_T, class CONFIG_T, class x_S, class y_S>
void elementwise_stream(x_S &x, y_S &y, const typename CONFIG_T::first_t first[CONFIG_T::n_first],
                        const typename CONFIG_T::second_t second[CONFIG_T::n_second]) {
    #pragma HLS function_instantiate variable=first
    #pragma HLS function_instantiate variable=second
    #pragma HLS ARRAY_PARTITION variable=first
    #pragma HLS ARRAY_PARTITION variable=second
    for (unsigned i = 0; i < CONFIG_T::n_in / x_T::size; i++) {
        #pragma HLS PIPELINE
        x_T word = x.read();
        y_T made;
        CODESIGN_PACK(made)
        #pragma unroll
        for (unsigned j = 0; j < x_T::size; j++) {
            #pragma HLS UNROLL
            made[j] = CONFIG_T::operation::template of<typename y_T::value_type, typename x_T::value_type,
                                                       typename CONFIG_T::first_t, typename CONFIG_T::second_t,
                                                       CONFIG_T::n_first>(
                word[j], first, second, constant<CONFIG_T::n_first, x_T::size>(i, j),
                constant<CONFIG_T::n_second, x_T::size>(i, j));
        }
        y.write(made);
    }
}

// For every element which one it is, or -1 for zero; or of which n_of it is the largest.

template <class y_T, unsigned n_of, class x_A> y_T largest(x_A &x, const int from[], unsigned i) {
    #pragma HLS INLINE
    y_T found = from[i * n_of] < 0 ? y_T(0) : y_T(x[from[i * n_of]]);
    #pragma unroll
    for (unsigned k = 1; k < n_of; k++) {
        #pragma HLS UNROLL
        int place = from[i * n_of + k];
        y_T other = place < 0 ? y_T(0) : y_T(x[place]);
        found = found < other ? other : found;
    }
    return found;
}

template <class x_T, class y_T, class CONFIG_T, class x_A, class y_A>
void gather(x_A &x, y_A &y, const int from[CONFIG_T::n_from]) {
    #pragma HLS function_instantiate variable=from
    #pragma HLS ARRAY_PARTITION variable=from
    #pragma unroll
    for (unsigned i = 0; i < CONFIG_T::n_out; i++) {
        #pragma HLS UNROLL
        y[i] = largest<y_T, CONFIG_T::n_of>(x, from, i);
    }
}

// Keeps the whole tensor: what comes first may be the last that came.
template <class x_T, class y_T, class CONFIG_T, class x_S, class y_S>
void gather_stream(x_S &x, y_S &y, const int from[CONFIG_T::n_from]) {
    #pragma HLS function_instantiate variable=from
    #pragma HLS ARRAY_PARTITION variable=from
    typename x_T::value_type kept[CONFIG_T::n_in];
    #pragma HLS ARRAY_PARTITION variable=kept complete
    for (unsigned i = 0; i < CONFIG_T::n_in / x_T::size; i++) {
        #pragma HLS PIPELINE
        x_T word = x.read();
        #pragma unroll
        for (unsigned j = 0; j < x_T::size; j++) {
            #pragma HLS UNROLL
            kept[i * x_T::size + j] = word[j];
        }
    }
    for (unsigned i = 0; i < CONFIG_T::n_out / y_T::size; i++) {
        #pragma HLS PIPELINE
        y_T made;
        CODESIGN_PACK(made)
        #pragma unroll
        for (unsigned j = 0; j < y_T::size; j++) {
            #pragma HLS UNROLL
            made[j] = largest<typename y_T::value_type, CONFIG_T::n_of>(kept, from, i * y_T::size + j);
        }
        y.write(made);
    }
}

} // namespace codesign

#endif
