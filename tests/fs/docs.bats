#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What the documents say is what there is: the tree, the options, the keys, the examples, the tour.
load lib

repo=$BATS_TEST_DIRNAME/../..

setup_file() {
	fs_new
	fs_start
	new_host h
	new_volume v mem:ram 16M
	attach v h ro
	mkdir "$mnt/profiles/p"
	put x "$mnt/profiles/p/extra_specs/key"
	put x "$mnt/volumes/v/metadata/key"
	put x "$mnt/volumes/v/attachments/h/metadata/key"
}

teardown_file() {
	fs_end
}

teardown() {
	[ ! -e "$dir/demo" ] || DEMO=$dir/demo "$repo/examples/tour.sh" stop
}

# "PATH r|w|d|l" a line, as attachfs(7) has it
documented_tree() {
	awk '
	/^\.SS / { dir = $2; gsub(/"/, "", dir); if (dir == "/") dir = ""
		if (dir != "") print substr(dir, 1, length(dir) - 1), "d" }
	/^\.BR / { path = dir $2
		if ($0 ~ /\(symbolic link\)/ || path ~ /(KEY|DOCK:POOL)$/) {
			parent = path; sub(/\/[^\/]*$/, "", parent); print parent, "d" }
		if ($0 ~ /\(symbolic link\)/) print path, "l"
		else if (sub(/\/$/, "", path)) print path, "d"
		else print path, ($0 ~ /\(w/) ? "w" : "r" }' <("$B/mantree") | sort -u
}

# The same of what is mounted, with the names of this test replaced by what stands for them
mounted_tree() {
	find "$mnt" -mindepth 1 -printf '%P %M\n' | sed -E '
		s,^docks/[^/ ]+,docks/DOCK,
		s,/pools/[^/ ]+,/pools/POOL,
		s,/capabilities/[^/ ]+,/capabilities/KEY,
		s,^(docks.*)/volumes/[^/ ]+,\1/volumes/NAME,
		s,^profiles/[^/ ]+,profiles/PROFILE,
		s,/extra_specs/[^/ ]+,/extra_specs/KEY,
		s,/eligible/[^/ ]+,/eligible/DOCK:POOL,
		s,^hosts/[^/ ]+,hosts/HOST,
		s,^(hosts/HOST)/attachments/[^/ ]+,\1/attachments/VOLUME,
		s,^volumes/[^/ ]+,volumes/VOLUME,
		s,VOLUME/attachments/[^/ ]+,VOLUME/attachments/HOST,
		/^volumes/s,/metadata/[^/ ]+,/metadata/KEY,
		s,^attachments/[^/ ]+,attachments/VOLUME@HOST,
		s, d.*, d,
		s, l.*, l,
		s, -rw-------$, r, # a secret, readable only
		s, -.w.*, w,
		s, -.*, r,' | sort -u
}

@test "attachfs(7) documents exactly the files there are, read-only or writable" {
	diff <(documented_tree) <(mounted_tree)
}

@test "what is documented as read-only refuses to be opened for writing, the rest does not" {
	local path type
	while read -r path type; do
		path=${path//VOLUME/v}
		path=${path//HOST/h}
		path=${path//KEY/key}
		path=${path//PROFILE/p}
		path=${path//DOCK:POOL/mem:ram}
		case $type in
		r) refused EACCES dd of="$mnt/$path" count=0 conv=notrunc status=none if=/dev/null ;;
		w) dd of="$mnt/$path" count=0 conv=notrunc status=none if=/dev/null ;;
		esac
	done < <(documented_tree | grep -v ^docks/)
}

@test "the tree in the README is the program's own" {
	"$B/mantree" -t >"$dir/tree"
	awk '/^```$/ {p = 0} p; /^```tree$/ {p = 1}' "$repo/README.md" | diff - "$dir/tree"
}

@test "every file that the README links to is there" {
	local file
	for file in $(grep -oP '\]\(\K[^)]+' "$repo/README.md"); do
		[ -e "$repo/$file" ] || { echo "missing: $file"; return 1; }
	done
}

@test "attachfs(8) and the completion have every option of --help" {
	local option
	for option in $("$attachfs" --help | grep -oE '^ +(-[a-zA-Z]|--[a-z-]+)(, --[a-z-]+)?' | tr -d ,); do
		sed 's/\\-/-/g' "$B/man/attachfs.8" | grep -qE -- "^\.BR?I? .*$option" ||
			{ echo "not in attachfs(8): $option"; return 1; }
		grep -qE -- "(^|[[:space:]'])$option([[:space:]']|\$)" "$repo/src/completion/attachfs" ||
			{ echo "not in the completion: $option"; return 1; }
	done
}

@test "attachfs.yaml(5) has every key that is read" {
	local key
	for key in $(grep -ohP '(SETTING\(|conf_(string|bool|number)\([a-z>-]+, )"\K[^"]+' \
		"$repo"/src/config/*.c "$repo"/src/drivers/*.c | sort -u); do
		grep -qw -- "$key" "$B/man/attachfs.yaml.5" || { echo "not documented: $key"; return 1; }
	done
}

@test "the example configuration is good, without a warning" {
	[ -z "$("$attachfs" -c "$repo/examples/attachfs.yaml" --check-config 2>&1)" ]
	mkdir "$dir/example" "$dir/example/docks.d"
	cp "$repo/examples/attachfs.yaml" "$dir/example"
	cp "$repo/examples/docks.d/memory.yaml.off" "$dir/example/docks.d/memory.yaml"
	[ -z "$("$attachfs" -c "$dir/example/attachfs.yaml" --check-config 2>&1)" ]
}

@test "the worked example of placement in the README is what happens" {
	local line block=$dir/session ran=$dir/ran
	awk '/^```$/ {p = 0} p; /^```session$/ {p = 1}' "$repo/README.md" >"$block"
	[ -s "$block" ]
	mkdir "$dir/example.mnt" "$dir/example.d"
	mkdir -m 700 "$dir/example.state"
	printf 'state: %s/example.state\ndocks: example.d\n' "$dir" >"$dir/example.yaml"
	cat >"$dir/example.d/hdd.yaml" <<-END
		driver: memory
		pool: {slow: {totalCapacity: 200, extras: {advanced: {diskType: HDD}}}}
	END
	cat >"$dir/example.d/ssd.yaml" <<-END
		driver: memory
		pool: {fast: {totalCapacity: 100, multiAttach: true,
		  extras: {advanced: {diskType: SSD}, ioConnectivity: {maxIOPS: 7000000}}}}
	END
	"$attachfs" -c "$dir/example.yaml" "$dir/example.mnt" 3>&-
	while read -r line; do
		echo "$line"
		case $line in
		'$ '*) (cd "$dir/example.mnt" && bash -c "${line#'$ '}" 2>&1 || true) ;;
		esac
	done < <(grep '^[$#] ' "$block") >"$ran"
	umount "$dir/example.mnt"
	diff -B "$block" "$ran"
}

# Its lines, without what differs each time
tour_in_readme() {
	awk '/^```$/ {p = 0} p && NF && !/identity=/; /^```console$/ {p = 1}' "$repo/README.md"
}

@test "the tour shows what the README says, says so when it is there already, and leaves nothing behind" {
	export ATTACHFS=$attachfs HOST=$host_tool DEMO=$dir/demo PORTAL
	PORTAL=127.0.0.1:$(free_port)
	"$repo/examples/tour.sh" >"$dir/tour" 3>&-
	tour_in_readme >"$dir/tour.readme"
	[ -s "$dir/tour.readme" ]
	fails grep -vxFf "$dir/tour" "$dir/tour.readme"
	[[ $("$repo/examples/tour.sh") == *"running already"* ]]
	"$repo/examples/tour.sh" stop
	[ ! -e "$DEMO" ]
	fails grep -q " $DEMO" /proc/mounts
	fails grep -lsazF "$DEMO/" /proc/[0-9]*/environ
	[[ $("$repo/examples/tour.sh" stop) == *"no demo"* ]]
}
