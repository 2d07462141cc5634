"""A flipped bit is never believed; python -m tests.damage flips many more."""

import zipfile

from tests import damage

FLIPS = 60


def test_a_damaged_file_is_detected_healed_or_harmless(monkeypatch):
    monkeypatch.setattr(damage.plan, "STEPS", damage.plan.STEPS)  # what main changes is put back
    monkeypatch.setitem(damage.plan.BATCH, "cpu", damage.plan.BATCH["cpu"])
    found = damage.main(FLIPS)
    assert found["believed"] == []
    kinds = [f"{kind}-{state}" for kind in damage.CONFIGS for state in ("complete", "unfinished")]
    assert set(found["ends"]) == {"archive", "figure", "grid", *kinds}


def test_without_checksums_damage_would_be_believed(monkeypatch):
    monkeypatch.setattr(damage.plan, "STEPS", damage.plan.STEPS)
    monkeypatch.setitem(damage.plan.BATCH, "cpu", damage.plan.BATCH["cpu"])
    monkeypatch.setattr(zipfile.ZipExtFile, "_update_crc", lambda *_: None)
    monkeypatch.setattr(damage, "prepare", only_an_archive)
    assert damage.main(FLIPS)["believed"]


def only_an_archive(root):
    (root / "archive").mkdir()
    damage.np.savez(root / "archive/plain.npz", x=damage.np.arange(600.0))
    (root / "archive/packed.npz").write_bytes((root / "archive/plain.npz").read_bytes())
