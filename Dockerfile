# Two images from one file:
#   docker build --target operator -t vendorsync-operator .
#   docker build --target syncjob  -t vendorsync-syncjob .
# Everything is pinned with hashes in requirements/. Bytecode is compiled here, since a read-only
# root file system never would. A package with a third-party adapter goes into both:
#   docker build --target syncjob --build-arg EXTRA_PACKAGES="your-adapter==1.0" .

FROM python:3.13-slim-trixie AS base
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONSAFEPATH=1 PATH=/opt/venv/bin:$PATH
RUN python3 -m venv /opt/venv

FROM base AS wheel
COPY requirements/build.txt /src/requirements/build.txt
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r /src/requirements/build.txt \
 && python3 -m pip check
COPY pyproject.toml README.md LICENSE /src/
COPY operator /src/operator
COPY syncjob /src/syncjob
RUN python3 -m pip wheel --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir /wheels /src

FROM base AS operator-venv
ARG EXTRA_PACKAGES=""
COPY requirements/operator.txt /src/operator.txt
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r /src/operator.txt
COPY --from=wheel /wheels /wheels
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check --no-deps /wheels/*.whl $EXTRA_PACKAGES \
 && python3 -m pip check \
 && python3 -m pip uninstall --yes --quiet pip \
 && python3 -m compileall -q -j 0 /opt/venv/lib

FROM base AS syncjob-venv
ARG EXTRA_PACKAGES=""
COPY requirements/syncjob.txt /src/syncjob.txt
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r /src/syncjob.txt
COPY --from=wheel /wheels /wheels
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check --no-deps /wheels/*.whl $EXTRA_PACKAGES \
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
