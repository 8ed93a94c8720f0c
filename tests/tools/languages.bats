#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Programming languages: what their libraries do with a file, in several idioms.
load lib

setup_file() {
	tools_start
}

teardown_file() {
	fs_end
}

@test "python: with open(w)" {
	writes 'python3 -c "import os
with open(os.environ[\"f\"], \"w\") as f:
	f.write(os.environ[\"v\"] + \"\n\")"'
}

@test "python: open(w).write(), unchecked" {
	writes --silent 'python3 -c "import os
try:
	open(os.environ[\"f\"], \"w\").write(os.environ[\"v\"] + \"\n\")
except OSError:
	pass"'
}

@test "python: Path.write_text" {
	writes 'python3 -c "import os, pathlib
pathlib.Path(os.environ[\"f\"]).write_text(os.environ[\"v\"])"' --bare
}

@test "python: open(r+), write, truncate" {
	writes --edits 'python3 -c "import os
with open(os.environ[\"f\"], \"r+\") as f:
	f.write(os.environ[\"v\"] + \"\n\")
	f.truncate()"'
}

@test "python: a temporary file and os.replace" {
	writes --anew 'python3 -c "import os, tempfile
with tempfile.NamedTemporaryFile(\"w\", dir=os.environ[\"d\"], delete=False) as f:
	f.write(os.environ[\"v\"] + \"\n\")
try:
	os.replace(f.name, os.environ[\"f\"])
except OSError:
	os.unlink(f.name)
	raise"'
}

@test "python: fileinput in place" {
	writes --anew --edits 'python3 -c "import fileinput, os
for line in fileinput.input(os.environ[\"f\"], inplace=True):
	print(os.environ[\"v\"])"'
}

@test "python: shutil.copyfile" {
	writes 'python3 -c "import os, shutil
shutil.copyfile(os.environ[\"s\"], os.environ[\"f\"])"'
}

@test "python: shutil.copy2" {
	writes 'python3 -c "import os, shutil
shutil.copy2(os.environ[\"s\"], os.environ[\"f\"])"'
}

@test "python: shutil.move" {
	writes --anew 'cp -p "$s" moved && python3 -c "import os, shutil
shutil.move(\"moved\", os.environ[\"f\"])"'
}

@test "perl: open, print, close" {
	writes 'perl -e "open(F, q(>), \$ENV{f}) && print(F qq(\$ENV{v}\n)) && close(F) or die"'
}

@test "perl: open, print, unchecked" {
	writes --silent 'perl -e "open(F, q(>), \$ENV{f}); print F qq(\$ENV{v}\n)"'
}

@test "perl: File::Copy" {
	writes 'perl -MFile::Copy -e "copy(\$ENV{s}, \$ENV{f}) or die"'
}

@test "perl: a file beside it and rename" {
	writes --anew 'perl -e "open(F, q(>), qq(\$ENV{f}.new)) && print(F qq(\$ENV{v}\n)) && close(F) or die;
		rename(qq(\$ENV{f}.new), \$ENV{f}) or unlink(qq(\$ENV{f}.new)) && die"'
}

@test "ruby: File.write" {
	writes 'ruby -e "File.write(ENV[%q(f)], ENV[%q(v)] + %Q(\n))"'
}

@test "ruby: -pi" {
	writes --anew --edits 'ruby -pi -e "\$_.replace(ENV[%q(v)] + %Q(\n))" "$f"'
}

@test "ruby: FileUtils.cp" {
	writes 'ruby -rfileutils -e "FileUtils.cp(ENV[%q(s)], ENV[%q(f)])"'
}

@test "ruby: FileUtils.mv" {
	writes --anew 'cp -p "$s" moved && ruby -rfileutils -e "FileUtils.mv(%q(moved), ENV[%q(f)])"'
}

@test "ruby: FileUtils.install" {
	writes --anew 'ruby -rfileutils -e "FileUtils.install(ENV[%q(s)], ENV[%q(f)], mode: 0644)"'
}

@test "awk: print to a file" {
	writes 'gawk "BEGIN {print ENVIRON[\"v\"] >ENVIRON[\"f\"]; if (close(ENVIRON[\"f\"])) exit 1}"'
}

@test "jq, and sponge" {
	writes 'set -o pipefail; jq -rn --arg v "$v" "\$v" | sponge "$f"'
}

@test "jq, a file beside it, and mv" {
	writes --anew 'jq -rn --arg v "$v" "\$v" >"$f.tmp" && { mv -f "$f.tmp" "$f" || { rm "$f.tmp"; false; }; }'
}
