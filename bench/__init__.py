"""Speed and memory against peers, in one process on the same data. Ratios hold on a busy machine; seconds do not."""
