# Two images from one file:
#   docker build --target operator -t vendorsync-operator .
#   docker build --target syncjob  -t vendorsync-syncjob .
# Everything is pinned with hashes in requirements/. Bytecode is compiled here, since a read-only
# root file system never would.
#
# A third party's adapter goes into both images, together with what it requires:
#   docker build --target syncjob --build-arg EXTRA_PACKAGES="your-adapter==1.0" .
# Our own packages keep their versions: pip refuses an adapter that wants others.
# A lock of the adapter's own pins the rest as well. It names exact versions with hashes and leaves
# out vendorsync. It lies in the build context, below requirements/:
#   docker build --target syncjob --build-arg EXTRA_REQUIREMENTS=requirements/your-adapter.txt .

FROM python:3.13-slim-trixie AS base
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONSAFEPATH=1 PATH=/opt/venv/bin:$PATH
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/venv

FROM base AS wheel
COPY requirements/build.txt /src/requirements/build.txt
RUN python3 -m pip install --no-deps --require-hashes -r /src/requirements/build.txt \
 && python3 -m pip check
COPY pyproject.toml README.md LICENSE /src/
COPY operator /src/operator
COPY syncjob /src/syncjob
RUN python3 -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheels /src

FROM base AS operator-venv
ARG EXTRA_PACKAGES=""
# Our own lock stands for none.
ARG EXTRA_REQUIREMENTS=requirements/operator.txt
COPY requirements/operator.txt /src/operator.txt
RUN python3 -m pip install --no-deps --require-hashes -r /src/operator.txt
COPY --from=wheel /wheels /wheels
COPY $EXTRA_REQUIREMENTS /src/extra.txt
RUN python3 -m pip install --no-deps /wheels/*.whl \
 && python3 -m pip list --format=freeze --exclude pip > /src/ours.txt \
 && python3 -m pip install --no-deps --require-hashes --constraint /src/ours.txt -r /src/extra.txt \
 && { test -z "$EXTRA_PACKAGES" || python3 -m pip install --constraint /src/ours.txt $EXTRA_PACKAGES; } \
 && python3 -m pip check \
 && python3 -m pip uninstall --yes --quiet pip \
 && python3 -m compileall -q -j 0 /opt/venv/lib

FROM base AS syncjob-venv
ARG EXTRA_PACKAGES=""
# Our own lock stands for none.
ARG EXTRA_REQUIREMENTS=requirements/syncjob.txt
COPY requirements/syncjob.txt /src/syncjob.txt
RUN python3 -m pip install --no-deps --require-hashes -r /src/syncjob.txt
COPY --from=wheel /wheels /wheels
COPY $EXTRA_REQUIREMENTS /src/extra.txt
RUN python3 -m pip install --no-deps /wheels/*.whl \
 && python3 -m pip list --format=freeze --exclude pip > /src/ours.txt \
 && python3 -m pip install --no-deps --require-hashes --constraint /src/ours.txt -r /src/extra.txt \
 && { test -z "$EXTRA_PACKAGES" || python3 -m pip install --constraint /src/ours.txt $EXTRA_PACKAGES; } \
 && python3 -m pip check \
 && python3 -m pip uninstall --yes --quiet pip \
 && python3 -m compileall -q -j 0 /opt/venv/lib

FROM python:3.13-slim-trixie AS runtime
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONSAFEPATH=1 PATH=/opt/venv/bin:$PATH
WORKDIR /
USER 65532:65532

FROM runtime AS operator
COPY --from=operator-venv /opt/venv /opt/venv
ENTRYPOINT ["python3", "-m", "vendorsync_operator"]
CMD ["run"]

FROM runtime AS syncjob
COPY --from=syncjob-venv /opt/venv /opt/venv
ENTRYPOINT ["python3", "-m", "vendorsync_job"]
CMD ["run"]
