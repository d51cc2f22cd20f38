"""Longer texts of the pages."""

ABOUT = """
contrasim answers two questions: *how similar are the representations inside these networks, and can I believe the
number?* It compares layers under closed-form measures and under **ContraSim**
([arXiv:2303.16992](https://arxiv.org/abs/2303.16992)), a measure that is learned with positive and negative examples,
and judges all of them on benchmarks with a right answer.
"""
DISTRACTORS = {"random": "random", "faiss": "nearest neighbours"}
GLOSSARY = {
    "word": [
        "representation",
        "layer",
        "grid",
        "encoder",
        "trial, chance",
        "seen, unseen, transfer",
        "interval",
        "by chance",
        "pooling",
        "distractors",
        "nearest neighbours",
        "languages shared",
        "retrieval, silhouette",
        "trustworthiness",
    ],
    "meaning": [
        "a matrix with one row per sample and one column per feature",
        "a place in a model; 0 is the output of the embeddings, k that of block k",
        "the layers of A against the layers of B under one measure",
        "the trained projection of ContraSim or of its ablations, which use no negatives",
        "one question with a right answer, and what a guess would score",
        "judged on the models an encoder was trained on, on others, or on a second data set",
        "95 %; of grids by omitting groups of samples, of accuracies by omitting models",
        "the expected value when the rows of one side are shuffled",
        "how the positions of one sample become one row: the [CLS] token, the mean, the last token",
        "the ten wrong answers of a trial in the multilingual and image-caption benchmarks",
        "distractors made of the rows nearest to the right answer; the others are drawn at random",
        "how many languages of a pair the encoder was trained on: none, one or both",
        "share of points whose nearest point in another source is the same sample; separation, -1 to 1",
        "how faithful a picture is to each point's true neighbours, 0 to 1",
    ],
}
LIMITS = """
- A number describes these samples under this pooling. Every caption names both.
- A plain encoder knows the models it was trained on. On others it is no better than closed-form measures, or worse; the
  relative kind does better there.
- A plain encoder learns to name layers: its layer-prediction score hardly changes when the rows of one side are
  shuffled, whereas that of CKA falls to chance. Its value means "the same layer", not "samples treated the same way".
- With no more samples than features, CCA, PWCCA and regression are close to 1 for any data; the grid says so.
- Biased CKA is above zero even for unrelated representations, so its chance level is shown beside it.
- The bundled models are small and trained in minutes. They are meant for trying, teaching and testing.
- Everyone who can reach this server can see, start and cancel all runs. It listens on this machine only.
"""
