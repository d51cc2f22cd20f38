"""Layer prediction: which measure finds the corresponding layer?"""
