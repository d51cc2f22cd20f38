"""The multilingual and the image-caption benchmark: which measure finds the translation, or the caption?"""
