"""A run's adapter, processor and model card to the hub: `moontune push`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from moontune.config.flag_marks import Positional
from moontune.errors import UserError
from moontune.export.base_facts import OWN_TERMS, Licence, licence_of
from moontune.export.model_card import card, final_card
from moontune.languages.table import speaking
from moontune.models.locate import is_hub_id
from moontune.models.provenance import PROVENANCE
from moontune.pipeline.run_folder.lock import exclusive_run
from moontune.pipeline.run_folder.opening import adapter_run, judged_run
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import new_folder, write_json, write_text
from moontune.system.hub_client import NoAnswer, patient_hub


@dataclass(frozen=True)
class PushArgs:
    """Upload a run's adapter, processor and model card to the hub. No audio, no transcripts, no
    names of speakers, no local paths."""

    run: Positional[Path]
    """The run's folder, outputs/NAME."""
    repo: Positional[str]
    """Where to: the model's id on the hub; made if it is not there."""
    dry_run: bool = False
    """Write the folder, RUN/push, and upload nothing."""
    private: bool = False
    """Make a model that only you see, if it is made."""
    licence: str | None = None
    """On the card, as the hub names it. Default: the base's, by its own card or config; where that
    is not known the card says so."""
    anyway: bool = False
    """Push a run that was not accepted, or an adapter that failed a check; its card says so."""


def push(args: PushArgs) -> tuple[Path, str | None]:
    """The folder of what is on the hub, and its address; None: a dry run. Raises UserError."""
    if not is_hub_id(args.repo):
        raise UserError(f"{args.repo}: is no model's id; give ORG/NAME")
    run = adapter_run(args.run)
    with exclusive_run(run.path), speaking(run.config().language):
        folder = prepare(run, args.repo, args.licence, args.anyway)
        return folder, None if args.dry_run else _upload(folder, args)


def prepare(run: RunDir, repo: str, licence: str | None, anyway: bool = False) -> Path:
    """Write what is to be uploaded into the run's `push` folder."""
    text, hub_id = _card_and_base(run, repo, licence, anyway)
    if not is_hub_id(hub_id):
        raise UserError(
            f"{run.path}: its base is {hub_id}, which nobody else has; push that first, "
            "and tune it from the hub"
        )
    folder = run / "push"
    with new_folder(folder) as temporary:
        for part in (run.adapter, run.processor):
            shutil.copytree(part, temporary, ignore=_not_ours, dirs_exist_ok=True)
        made = json.loads((temporary / PROVENANCE).read_text(encoding="utf-8"))
        made["base"]["asked"] = made["base"]["hub_id"]  # it may be a path
        write_json(temporary / PROVENANCE, made)
        write_text(temporary / "README.md", text)
    return folder


def _card_and_base(run: RunDir, repo: str, licence: str | None, anyway: bool) -> tuple[str, str]:
    """The model card, and the base's id. Raises UserError for a run that is not to be pushed."""
    if run.kind == "final":
        final = run.final_metrics()
        if not final.usable and not anyway:
            failed = ", ".join(check.name for check in final.checks if not check.passed)
            raise UserError(
                f"{run.path}: checks failed ({failed}); push it all the same with --anyway"
            )
        known = _licence(run, "final.json", licence)
        return final_card(final, repo, known), final.base.hub_id
    metrics = judged_run(run).metrics()
    if not metrics.accepted and not anyway:
        raise UserError(f"{run.path}: was not accepted; push it all the same with --anyway")
    known = _licence(run, "metrics.json", licence)
    return card(metrics, repo, known), metrics.base.hub_id


def _licence(run: RunDir, file: str, asked: str | None) -> Licence | None:
    """The one asked for, else the base's: by its files, where they still lie there, and by its
    name. Raises UserError where the base is under terms of its own, which none can replace."""
    base, began = run.read(file)["base_model"], run.record()["environment"].get("folder", ".")
    known = licence_of(Path(began) / base.get("path", ""), base["hub_id"])
    if asked is None or asked == (known and known.id):
        return known
    if known is not None and known.own_terms and asked != OWN_TERMS:
        raise UserError(
            f"--licence {asked}: the base, {base['hub_id']}, is under terms of its own, which hold "
            "for what is made of it; leave --licence out"
        )
    return Licence(asked)


def _not_ours(folder: str, names: list[str]) -> list[str]:
    """Entries that training did not write there: links, folders, and files of other kinds."""
    return [
        name
        for name in names
        if (path := Path(folder) / name).is_symlink()
        or not path.is_file()
        or path.suffix not in (".json", ".jinja", ".model", ".safetensors", ".txt")
    ]


def _upload(folder: Path, args: PushArgs) -> str:
    from huggingface_hub import HfApi

    api = HfApi()
    with _explained(args.repo), patient_hub():
        made = api.create_repo(args.repo, private=args.private or None, exist_ok=True)
        api.upload_folder(
            repo_id=made.repo_id, folder_path=folder, commit_message="Adapter tuned with moontune"
        )
    return str(made)


@contextmanager
def _explained(repo: str) -> Iterator[None]:
    """The hub's answers as one line that says what to do."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except NoAnswer as error:
        raise UserError(
            f"{error}; {error.remedy} (what it has is not sent again), or look with --dry-run"
        ) from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        remedy = {
            401: "log in with `hf auth login`, or set HF_TOKEN to a token that may write",
            403: f"your token may not write to {repo}; use one with write access, or your own name",
            404: f"there is no {repo.split('/')[0]} that you may write to; check the name",
        }.get(status, "try again later; nothing is lost")
        raise UserError(f"the hub refused {repo} ({status}): {remedy}") from None
    except HFValidationError:
        raise UserError(f"{repo}: is no model's id; give ORG/NAME") from None
    except (ValueError, KeyError, TypeError):  # a login page of a hotel, say
        raise UserError(
            "what answers is not the hub; log in to this network, check HF_ENDPOINT, or look with "
            "--dry-run"
        ) from None
