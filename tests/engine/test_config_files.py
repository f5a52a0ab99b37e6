import pytest

from freeanchor.engine import ConfigError, load_config

BASE = """
epochs = 3
train_cfg = dict(by_epoch=True, max_epochs=epochs)
"""


@pytest.fixture
def write(tmp_path):
    (tmp_path / 'base.py').write_text(BASE)

    def write(text, name='recipe.py'):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_variables_of_a_file_are_not_in_the_config(write):
    cfg = load_config(write("_base_ = 'base.py'\nscale = 4\nresume = scale > 3\n"))
    assert cfg.resume is True
    assert cfg.train_cfg.max_epochs == 3
    assert 'scale' not in cfg
    assert 'epochs' not in cfg


def test_a_variable_of_the_base_can_be_used_by_its_name(write):
    cfg = load_config(
        write("_base_ = 'base.py'\nval_cfg = dict(fp16=_base_.epochs > 2)\n")
    )
    assert cfg.val_cfg.fp16 is True


def test_what_is_dumped_can_be_read_again(write, tmp_path):
    cfg = load_config(write("_base_ = 'base.py'\n"))
    cfg.dump(tmp_path / 'dumped.py')
    assert load_config(tmp_path / 'dumped.py').train_cfg == cfg.train_cfg


def test_a_key_that_nothing_reads_is_refused_with_the_nearest(write):
    with pytest.raises(ConfigError, match="'resum': did you mean 'resume'"):
        load_config(write('resum = True\n'))


def test_a_variable_set_again_too_late_is_refused(write):
    with pytest.raises(ConfigError, match="'epochs' again has no effect"):
        load_config(write("_base_ = 'base.py'\nepochs = 5\n"))


def test_a_missing_file_gets_the_nearest_name(write, tmp_path):
    write('resume = False\n', 'free_anchor.py')
    with pytest.raises(ConfigError, match=r'did you mean .free_anchor\.py'):
        load_config(tmp_path / 'free_ancor.py')


def test_a_broken_file_is_named(write):
    with pytest.raises(ConfigError, match=r'recipe\.py: SyntaxError'):
        load_config(write('resume = = 1\n'))


def test_a_missing_base_is_named(write):
    with pytest.raises(ConfigError, match=r'bse\.py'):
        load_config(write("_base_ = 'bse.py'\n"))


def test_options_are_checked_with_the_rest(write):
    path = write("_base_ = 'base.py'\n")
    assert load_config(path, ['train_cfg.max_epochs=9']).train_cfg.max_epochs == 9
    with pytest.raises(ConfigError, match=r"train_cfg\.max_epoch: .*'max_epochs'"):
        load_config(path, ['train_cfg.max_epoch=9'])
