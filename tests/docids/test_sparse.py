import numpy as np

from arrange.docids.sparse import encode, fit

RNG = np.random.default_rng(0)


def greedy(dictionary_AE: np.ndarray, vector_E: np.ndarray, nonzeros: int) -> str:
    """OMP as in the textbook: take the atom nearest to what is left over, then fit all that were taken again."""
    taken: list[int] = []
    shares = np.zeros(0)
    for _ in range(nonzeros):
        left_E = vector_E - shares @ dictionary_AE[taken] if taken else vector_E
        if np.abs(left_E).max() < 1e-6:
            break
        taken.append(int(np.abs(dictionary_AE @ left_E).argmax()))
        shares = np.linalg.lstsq(dictionary_AE[taken].T, vector_E)[0]
    return ",".join(str(taken[at]) for at in np.argsort(-np.abs(shares))) or "-"


def test_codes_by_hand_largest_share_first_whatever_its_sign() -> None:
    vectors_DE = np.array([[1, 0, -3, 2], [0, 5, 0, 0], [0, 0, 0, 0], [0.1, 4, 3, 2]], np.float32)
    assert encode(np.eye(4, dtype=np.float32), vectors_DE, nonzeros=3) == ["2,3,0", "1", "-", "1,2,3"]
    assert encode(np.eye(4, dtype=np.float32), vectors_DE[:1], nonzeros=9) == ["2,3,0"]


def test_codes_are_those_of_the_textbook() -> None:
    dictionary_AE = RNG.normal(size=(20, 8))
    dictionary_AE /= np.linalg.norm(dictionary_AE, axis=1, keepdims=True)
    vectors_DE = RNG.normal(size=(60, 8))
    expected = [greedy(dictionary_AE, vector_E, 3) for vector_E in vectors_DE]
    assert encode(dictionary_AE, vectors_DE, nonzeros=3) == expected
    assert any(code != ",".join(sorted(code.split(","), key=int)) for code in expected)


def test_a_dictionary_has_atoms_of_length_1_that_fit_better_than_documents() -> None:
    """Vectors of 2 of 12 hidden atoms: a learnt dictionary leaves less over than 12 of the vectors."""
    hidden_AE = RNG.normal(size=(12, 16))
    shares_DA = np.zeros((600, 12))
    for row in shares_DA:
        row[RNG.choice(12, 2, replace=False)] = RNG.choice([-1, 1], 2) * (1 + RNG.random(2))
    vectors_DE = shares_DA @ hidden_AE
    vectors_DE = (vectors_DE / np.linalg.norm(vectors_DE, axis=1, keepdims=True)).astype(np.float32)

    def left_over(dictionary_AE: np.ndarray) -> float:
        total = 0.0
        for vector_E, code in zip(vectors_DE, encode(dictionary_AE, vectors_DE, 2), strict=True):
            atoms_AE = dictionary_AE[[int(atom) for atom in code.split(",")]]
            total += np.linalg.lstsq(atoms_AE.T, vector_E)[1].sum()
        return total / len(vectors_DE)

    learnt_AE = fit(vectors_DE, atoms=12, seed=0)
    assert np.allclose(np.linalg.norm(learnt_AE, axis=1), 1, atol=1e-5)
    assert left_over(learnt_AE) < 0.5 * left_over(vectors_DE[:12])


def test_same_vectors_and_seed_give_the_same_bytes() -> None:
    vectors_DE = RNG.normal(size=(100, 8)).astype(np.float32)
    one, two, other = (fit(vectors_DE, 10, seed).tobytes() for seed in (1, 1, 2))
    assert one == two
    assert one != other
