#!/bin/sh
# Publishes each of these folders to npm with provenance. What is there already is left alone, so that a release that
# stopped half-way can be run again.
set -eu
for folder in "$@"; do
  name=$(node -p "require('./$folder/package.json').name")
  version=$(node -p "require('./$folder/package.json').version")
  if [ "$(npm view "$name@$version" version 2>/dev/null || true)" = "$version" ]; then
    echo "$name@$version is published already"
  else
    (cd "$folder" && npm publish --provenance --access public)
  fi
done
