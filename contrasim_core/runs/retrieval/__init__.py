"""The multilingual and image-caption benchmarks: which measure finds the translation, or the caption?"""
