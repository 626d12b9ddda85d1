# make demo   the MONAI Deploy app on a real chest radiograph
# make test   every check and every test, with the Deploy SDK and without it
# make test-fast  what to run before each commit
# make check  format, lint and types (in the same environment)
# make label  the MONAI Label server on a folder or an archive: make label STUDIES=folder [PORT=8000]
# make web    the web page: make web [PORT=7860]
# make bundle the MONAI Bundle as a zip file for the model zoo, in dist/
# make map    the MONAI Application Package, a container image; needs Docker and the network
# make lock   the lock files in locks/, with checksums, from constraints.txt
# make sbom   the software bill of materials of make demo and make test (CycloneDX), in dist/
# make train-smoke  the bundle's training on a few images: two epochs, killed and resumed, two processes

PYTHON ?= python3
# Python may keep what it compiles: else it would compile MONAI at each of hundreds of starts, which takes seconds.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
BIN := $(VENV)/bin
PLAIN := .venv-plain
LABEL := .venv-label
SBOM := .venv-sbom
PIP := -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
TOOLS := dcmtk dicom3tools orthanc orthanc-dicomweb chromium
# Two stages side by side fill two cores, since many tests wait: the largest in WORKERS processes, each of which needs
# half a minute to collect, the others in one. Modules with slow tests come first (tests/conftest.py).
WORKERS := 2
PARALLEL := -n $(WORKERS) --dist loadscope --no-loadscope-reorder
# Imports, commands, reading, a file of each format, what happens where an extra is missing.
INSTALLED := test_public_api.py test_model.py test_segmentation.py commands reading dicom/reading/test_read.py \
  writers/test_formats.py writers/test_save.py dicom/test_write.py bundle/test_bundle.py demo/test_server.py \
  dataset/rca/test_rating.py transforms/test_corruptions.py archive/test_fetch.py
# Quick ones of what is read, computed and written.
FAST := anatomy geometry drawing radiograph posterior segmentation model house
FAST := $(FAST:%=tests/test_%.py) $(addprefix tests/,files reading dicom/reading dicom/pr uncertainty losses metrics transforms)
ORTHANC_PLUGINS := /usr/share/orthanc/plugins
INPUTS := pyproject.toml setup.py constraints.txt $(wildcard locks/*.txt)
# On the platform of the lock files each file that is installed has its checksum there; elsewhere the versions alone hold.
LOCKED := $(shell $(PYTHON) -c 'import platform as p, sys; print("yes" * (p.system() == "Linux" and p.machine() == "x86_64" and sys.version_info[:2] == (3, 11)))')
BUILD := $(if $(LOCKED),--no-build-isolation)
# Which build of PyTorch is at hand, pip tells best when it is not asked for checksums yet: it prefers files whose checksum
# the index tells, and so the large public one to the one for CPUs.
define lock_torch
$(1)/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --constraint constraints.txt --dest $(1)/wheels torch
	$(1)/bin/python scripts/install_lock.py locks/torch.txt $(1)/wheels
	rm -r $(1)/wheels
endef

.PHONY: demo label web bundle lock sbom map test test-fast environments check tools test-deploy test-beside test-plain test-label train-smoke clean

demo: $(VENV)/.demo-ready
	@$(BIN)/python -W ignore scripts/demo.py

label: $(LABEL)/.ready
	@$(if $(STUDIES),,$(error say what to annotate: make label STUDIES=folder, or the address of a DICOMweb archive))
	@$(LABEL)/bin/python -m label "$(STUDIES)" $(if $(PORT),--port $(PORT))

web: $(VENV)/.web-ready
	@$(BIN)/chexmask-u demo $(if $(PORT),--port $(PORT))

bundle: $(VENV)/.demo-ready
	@$(BIN)/python scripts/build_bundle.py

lock: $(VENV)/.demo-ready
	@$(BIN)/python scripts/lock.py

sbom: $(VENV)/.test-ready $(SBOM)/.ready
	@$(SBOM)/bin/python scripts/sbom.py dist --python $(BIN)/python

# TORCH_INDEX=URL: a package index with builds of PyTorch for CPUs (app/README.md).
map: $(VENV)/.demo-ready
	@$(BIN)/python scripts/map_package.py $(if $(TORCH_INDEX),--torch-index $(TORCH_INDEX))

test:
	@begin=$$(date +%s) && $(MAKE) --no-print-directory -j 2 tools environments \
	  && $(MAKE) --no-print-directory -j 2 --output-sync=line test-deploy test-beside \
	  && echo "passed in $$(($$(date +%s) - begin)) seconds"

# What runs beside test-deploy, one after the other.
test-beside:
	@for stage in check test-plain test-label; do $(MAKE) --no-print-directory $$stage || exit 1; done

environments:
	@$(MAKE) --no-print-directory -j 3 $(VENV)/.test-ready $(PLAIN)/.ready $(LABEL)/.test-ready $(SBOM)/.ready

check: $(VENV)/.test-ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy monai_chexmask_u app label tests scripts benchmarks

# What to run before each commit.
test-fast: check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadscope $(FAST)

# With the MONAI Deploy App SDK: everything.
test-deploy: $(VENV)/.test-ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PARALLEL) --durations 20

# Without it, from the built wheel, outside the checkout, as after `pip install`: what depends on what is installed.
test-plain: $(PLAIN)/.ready
	$(PLAIN)/bin/python $(PIP) $(BUILD) --force-reinstall --no-deps .
	cd $(PLAIN) && OMP_NUM_THREADS=1 bin/pytest -c ../pyproject.toml --rootdir .. -m "not deploy and not fresh and not slow" $(INSTALLED:%=../tests/%)

# The MONAI Label app, and what it gives to 3D Slicer judged by Slicer's own code.
test-label: $(LABEL)/.test-ready
	OMP_NUM_THREADS=1 $(LABEL)/bin/python -m pytest --durations 10 tests/label tests/annotations/slicer tests/annotations/test_mask_files.py tests/writers/test_images.py

# torch first: with 2.13.0 installed, nothing asks for another build of it.
$(VENV)/.demo-ready: $(INPUTS)
	$(PYTHON) -m venv $(VENV)
	$(if $(LOCKED),$(call lock_torch,$(VENV)))
	$(if $(LOCKED),$(BIN)/python scripts/install_lock.py locks/demo.txt)
	$(BIN)/python $(PIP) torch
	$(BIN)/python $(PIP) $(BUILD) --editable '.[deploy,archive]' pydicom-data
	$(BIN)/python scripts/preload_cuda_runtime.py
	touch $@

$(VENV)/.test-ready: $(VENV)/.demo-ready
	$(if $(LOCKED),$(BIN)/python scripts/install_lock.py locks/test.txt)
	$(BIN)/python $(PIP) $(BUILD) --editable '.[deploy,archive,bundle,export,experiments,ray,rca,demo,dev]'
	touch $@

$(VENV)/.web-ready: $(VENV)/.demo-ready
	$(BIN)/python $(PIP) $(BUILD) --editable '.[demo]'
	touch $@

$(PLAIN)/.ready: $(INPUTS)
	$(PYTHON) -m venv $(PLAIN)
	$(if $(LOCKED),$(call lock_torch,$(PLAIN)))
	$(if $(LOCKED),$(PLAIN)/bin/python scripts/install_lock.py locks/plain.txt)
	$(PLAIN)/bin/python $(PIP) torch
	$(PLAIN)/bin/python $(PIP) $(BUILD) '.[archive,bundle,dataset,experiments,demo,dev]'
	touch $@

# MONAI Label without its dependencies: they name sam2, which needs CUDA, and packages that need an old numpy.
$(LABEL)/.ready: $(INPUTS)
	$(PYTHON) -m venv $(LABEL)
	$(if $(LOCKED),$(call lock_torch,$(LABEL)))
	$(if $(LOCKED),$(LABEL)/bin/python scripts/install_lock.py locks/label.txt)
	$(LABEL)/bin/python $(PIP) torch
	$(LABEL)/bin/python $(PIP) $(BUILD) --editable '.[label]'
	$(LABEL)/bin/python $(PIP) --no-deps monailabel
	touch $@

$(LABEL)/.test-ready: $(LABEL)/.ready
	$(if $(LOCKED),$(LABEL)/bin/python scripts/install_lock.py locks/label-test.txt)
	$(LABEL)/bin/python $(PIP) $(BUILD) --editable '.[label,slicer,dev]'
	touch $@

# The validators of CycloneDX in an environment of their own: beside MONAI they cost each import of it a second.
$(SBOM)/.ready: $(INPUTS)
	$(PYTHON) -m venv $(SBOM)
	$(if $(LOCKED),$(SBOM)/bin/python scripts/install_lock.py locks/sbom.txt)
	$(SBOM)/bin/python $(PIP) cyclonedx-bom 'cyclonedx-python-lib[json-validation]'
	touch $@

# Two epochs on a few images, a training killed and resumed, two processes, an evaluation.
train-smoke: $(VENV)/.test-ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -v tests/bundle/test_training.py

# Independent DICOM checkers and an archive; tests that need one say so and are skipped where it is not there.
tools:
	@if command -v dciodvfy >/dev/null && command -v dsrdump >/dev/null && command -v Orthanc >/dev/null && command -v chromium >/dev/null \
	  && [ -e $(ORTHANC_PLUGINS)/libOrthancDicomWeb.so ]; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(TOOLS) >/dev/null \
	    || echo "$(TOOLS) could not be installed: the tests that need them will be skipped"; \
	else echo "$(TOOLS) are not all installed: the tests that need them will be skipped"; fi

clean:
	rm -rf $(VENV) $(PLAIN) $(LABEL) $(SBOM) build dist *.egg-info demo_output
