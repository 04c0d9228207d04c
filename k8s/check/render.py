"""Renders a kustomization without kustomize, for machines that have none.

It knows the part of the format that this folder uses and refuses the rest: resources, components,
namespace, JSON 6902 patches and merges with a target, configMapGenerator from files without a name suffix, and
replacements by path. Where kubectl is present, check.py compares the two for every combination.
"""

import copy
import pathlib
import re

import yaml

KNOWN = {
    "apiVersion", "kind", "resources", "components", "namespace", "patches", "configMapGenerator", "replacements",
}
# Kinds that live outside of a namespace.
CLUSTER = {"Namespace", "ClusterRole", "ClusterRoleBinding", "PersistentVolume", "StorageClass"}


class Refused(Exception):
    """The kustomization uses something this renderer does not know, or is wrong."""


# The C parser where PyYAML has it: ten times as fast.
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_read = {}


def load_all(path):
    """The documents of a file, each time anew, because patches change them."""
    path = pathlib.Path(path).resolve()
    if path not in _read:
        with open(path, encoding="utf-8") as file:
            _read[path] = [document for document in yaml.load_all(file, Loader) if document is not None]
    return copy.deepcopy(_read[path])


def render(folder):
    """The documents of a kustomization folder, in no promised order."""
    return _folder(pathlib.Path(folder), [])


def _folder(folder, documents):
    path = folder / "kustomization.yaml"
    spec = load_all(path)[0]
    unknown = set(spec) - KNOWN
    if unknown:
        raise Refused(f"{path}: {sorted(unknown)} is not known to this renderer")
    for name in spec.get("resources", []):
        target = folder / name
        if target.is_dir():
            documents = documents + _folder(target, [])
        else:
            documents = documents + load_all(target)
    for generator in spec.get("configMapGenerator", []):
        documents = documents + [_config_map(folder, generator)]
    # A component changes what stands before it, then adds its own.
    for name in spec.get("components", []):
        documents = _folder(folder / name, documents)
    seen = set()
    for document in documents:
        identity = (document["kind"], document["metadata"]["name"])
        if identity in seen:
            raise Refused(f"{path}: {identity} stands there twice")
        seen.add(identity)
    for patch in spec.get("patches", []):
        _patch(path, patch, documents)
    if "namespace" in spec:
        for document in documents:
            _namespace(document, spec["namespace"])
    for replacement in spec.get("replacements", []):
        _replace(path, replacement, documents)
    return documents


def _namespace(document, namespace):
    if document["kind"] == "Namespace":
        document["metadata"]["name"] = namespace
    elif document["kind"] not in CLUSTER:
        document["metadata"]["namespace"] = namespace
    for subject in document.get("subjects", []) if document["kind"].endswith("RoleBinding") else []:
        subject["namespace"] = namespace


def _config_map(folder, generator):
    if not generator.get("options", {}).get("disableNameSuffixHash") or set(generator) - {"name", "options", "files"}:
        raise Refused(f"{folder}: a generated ConfigMap needs files and disableNameSuffixHash")
    data = {}
    for name in generator["files"]:
        path = folder / name
        data[path.name] = path.read_text(encoding="utf-8")
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": data}


def _selected(target, documents):
    unknown = set(target) - {"kind", "name"}
    if unknown:
        raise Refused(f"a target by {sorted(unknown)} is not known to this renderer")
    return [
        document
        for document in documents
        if target.get("kind", document["kind"]) == document["kind"]
        and target.get("name", document["metadata"]["name"]) == document["metadata"]["name"]
    ]


def _patch(path, patch, documents):
    operations = yaml.safe_load(patch["patch"])
    for document in _selected(patch["target"], documents):
        if isinstance(operations, dict):
            _merge(path, document, copy.deepcopy(operations))
            continue
        for operation in operations:
            _apply(path, document, copy.deepcopy(operation))


def _merge(path, place, change):
    """A strategic merge, of which this renderer knows changing what is there; list items are found by name."""
    if isinstance(place, list):
        changed = []
        for new in change:
            found = [item for item in place if item.get("name") == new.get("name")]
            if len(found) != 1:
                raise Refused(f"{path}: a merge finds {len(found)} times {new}")
            _merge(path, found[0], new)
            changed += found
        # kustomize puts what a merge names before the rest.
        place[:] = changed + [item for item in place if item not in changed]
        return
    for key, value in change.items():
        if key not in place or type(place[key]) is not type(value):
            raise Refused(f"{path}: a merge that adds {key} is not known to this renderer")
        if isinstance(value, (dict, list)):
            _merge(path, place[key], value)
        else:
            place[key] = value


def _apply(path, document, operation):
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
    place = document
    for part in way:
        place = place[int(part)] if isinstance(place, list) else place[part]
    kind = operation["op"]
    if isinstance(place, list):
        if kind == "add" and last == "-":
            place.append(operation["value"])
        elif kind == "add":
            place.insert(int(last), operation["value"])
        elif kind == "replace":
            place[int(last)] = operation["value"]
        elif kind == "remove":
            del place[int(last)]
        else:
            raise Refused(f"{path}: operation {kind} is not known to this renderer")
    elif kind == "add" or (kind == "replace" and last in place):
        place[last] = operation["value"]
    elif kind == "remove" and last in place:
        del place[last]
    else:
        raise Refused(f"{path}: cannot {kind} {operation['path']} in {document['kind']} {document['metadata']['name']}")


def _replace(path, replacement, documents):
    source = replacement["source"]
    found = _selected({"kind": source["kind"], "name": source["name"]}, documents)
    if len(found) != 1:
        raise Refused(f"{path}: the source of a replacement must be one document")
    value = found[0]
    for part in _way(source["fieldPath"]):
        value = value[int(part)] if isinstance(value, list) else value[part]
    for target in replacement["targets"]:
        options = target.get("options")
        for document in _selected(target["select"], documents):
            for field in target["fieldPaths"]:
                _put(document, _way(field), value, options)


def _way(path):
    """The parts of a path; a part in brackets may have dots in it."""
    return [bracketed or plain for bracketed, plain in re.findall(r"\[([^]]*)\]|([^.\[\]]+)", path)]


def _put(place, way, value, options):
    head, *rest = way
    if head == "*":
        for item in place:
            _put(item, rest, value, options)
    elif rest:
        _put(place[head], rest, value, options)
    elif options is None:
        place[head] = value
    else:
        parts = place[head].split(options["delimiter"])
        parts[options["index"]] = value
        place[head] = options["delimiter"].join(parts)
