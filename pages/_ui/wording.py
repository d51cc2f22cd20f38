"""Longer texts of the pages."""

ABOUT = """
contrasim answers two questions: *how similar are the representations inside these networks, and can I believe the
number?* It compares layers under closed-form measures and under **ContraSim**
([arXiv:2303.16992](https://arxiv.org/abs/2303.16992)), a measure that is learned with positive and negative examples,
and judges all of them on benchmarks with a right answer.
"""
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
        "retrieved, FAISS",
        "languages shared",
        "retrieval, silhouette",
        "trustworthiness",
    ],
    "meaning": [
        "a matrix with one row per sample and one column per feature",
        "a place in a model; 0 is the output of the embeddings, k that of block k",
        "the layers of A against the layers of B under one measure",
        "the trained projection of ContraSim, or of its ablations without negatives",
        "one question with a right answer, and what a guess would score",
        "judged on the models an encoder was trained on, on others, or on a second data set",
        "95 %: of grids by leaving out groups of samples, of accuracies by leaving out models",
        "expected value if the rows of one side were shuffled",
        "how the positions of one input become one row: the class token, the mean, the last token",
        "the ten wrong answers of a trial in the multilingual and image-caption benchmarks",
        "distractors made of the nearest rows to the right answer, found by FAISS; the others are drawn at random",
        "how many languages of a pair an encoder met in training: none, one or both",
        "share of points whose nearest point elsewhere is their own sample; how well points are sorted, -1 to 1",
        "how few strangers a picture puts among a point's neighbours, 0 to 1",
    ],
}
LIMITS = """
- A number is about these samples and this pooling; both are in every caption.
- A plain encoder knows the models it was trained on. On others it falls to the level of closed-form measures
  or below; the relative kind keeps more.
- A plain encoder learns to name layers: its layer-prediction score hardly changes when the rows of one side are
  shuffled, where that of CKA falls to chance. Its value says "the same layer", not "the same treatment of each sample".
- With no more samples than features, CCA, PWCCA and regression are close to 1 whatever the data; the grid says so.
- Biased CKA is above zero for unrelated representations; the value by chance stands beside it.
- Bundled models are small and trained in minutes: they are for trying, teaching and testing.
- Everybody who can reach this server sees, starts and cancels all runs. It listens on this machine only.
"""
