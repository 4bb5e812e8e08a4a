"""TFMOT's quantisation-aware training of a student, to compare ours with: in a process of its own, on tf_keras.

tensorflow-model-optimization 0.8.1 takes models of tf_keras alone, and of a student's layers it knows neither Multiply
nor the two shuffles: `quantize_model` ends with an error at each. Its own way out is taken here: these layers are
annotated by hand.
"""
