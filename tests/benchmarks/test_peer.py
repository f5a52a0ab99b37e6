import sys

from benchmarks.peer import load_peer, why_no_peer


def test_no_folder_is_no_peer(monkeypatch):
    monkeypatch.delenv('FREEANCHOR_PEER', raising=False)
    assert load_peer() is None
    assert '--peer' in why_no_peer()


def test_an_incomplete_folder_is_no_peer(tmp_path):
    assert load_peer(str(tmp_path)) is None
    assert f'{tmp_path} has no deterministic.py' in why_no_peer(str(tmp_path))


def test_a_peer_that_cannot_be_imported_is_no_peer(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, 'path', list(sys.path))
    for name in ('deterministic', 'peer_mmdet', 'bench_mmdet_cpu'):
        monkeypatch.delitem(sys.modules, name, raising=False)
        (tmp_path / f'{name}.py').write_text('import absent_package')
    assert load_peer(str(tmp_path)) is None
    assert 'absent_package' in why_no_peer(str(tmp_path))
