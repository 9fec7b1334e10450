"""Build the cohort that ships: cluster centres of the embeddings of people who are in nobody's class.

    python -m benchmarks.make_cohort ../shared/data/faces

A centre is a mean over the faces of several people, so it is no one's face. Only half A of the people goes in, so that
half B can be measured on. The file says how it was made.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from scipy.cluster.vq import kmeans2

from benchmarks.split import embeddings
from optimind.vision.face_recognition_engine import COHORT, FaceRecognitionEmbedder

CENTRES = 256
SEED = 1


def main() -> int:
    """Embed, cluster, write; returns the exit code."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    people = embeddings(Path(sys.argv[1]), half_b=False, at_least=1)
    samples = np.concatenate(list(people.values()))
    centres, members = kmeans2(samples, CENTRES, minit="++", seed=SEED)
    # A cluster of one person would be that person's face.
    owners = np.repeat(np.arange(len(people)), [len(vectors) for vectors in people.values()])
    shared = [c for c in range(CENTRES) if len(set(owners[members == c])) >= 2]
    made = {
        "embedder": FaceRecognitionEmbedder.info.embedder_id,
        "method": f"k-means++ with {CENTRES} centres, seed {SEED}; clusters of fewer than two people left out",
        "data": "LFW deep-funneled, half A by checksum of the name",
        "people": len(people),
        "samples": len(samples),
        "centres": len(shared),
    }
    np.savez_compressed(COHORT, centres=centres[shared].astype(np.float32), made=np.array(json.dumps(made)))
    print(json.dumps(made, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
