# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What the tests of real tools share. A test is one row: how a tool does it, and what is special about it.
# What must come of it, for each kind of object, is checked by writes.py and trees.py.
load ../fs/lib

# One mount a file, on the memory driver: what a host sees is not the point here.
tools_start() {
	fs_new
	rm "$dir/docks.d/ssd.yaml"
	fs_start
	mkdir "$dir/scratch"
}

check() { # SCRIPT ARGUMENTS…: with a name that is this test's own
	local script=$1
	shift
	"$python" -B "$helpers/$script" "$@" "$mnt" "$dir/scratch" "t$BATS_TEST_NUMBER"
}

# writes [OPTION…] COMMAND: it writes the value $v to the file $f; see writes.py
writes() {
	check writes.py "$@"
}

# copies [OPTION…] COMMAND: it copies the tree $src to $dst; see trees.py
copies() {
	check trees.py copies "$@"
}

# removes [OPTION…] COMMAND: it removes the directory $d; see trees.py
removes() {
	check trees.py removes "$@"
}

# declares --detach COMMAND [OPTION…] COMMAND: it declares what $examples/desired has at $dst
declares() {
	check trees.py declares "$@"
}

# Removes all objects.
clear() {
	check trees.py clear ""
}
