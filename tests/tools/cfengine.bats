#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# CFEngine: in place, and by files beside the one it changes. It never reports a refusal.
load lib

setup_file() {
	tools_start
}

teardown_file() {
	fs_end
}

teardown() {
	clear
}

agent='chmod 600 x.cf && cf-agent -KIf "$t/x.cf"'

# A policy of a promise for each file of the list: $(file) and $(value) in it, and bodies that it needs
policy() { # PROMISE BODIES
	cat <<-END
		bundle agent main
		{
		vars:
			"n" int => readstringarrayidx("row", getenv("list", 4096), "", "\\t", 100, 100000);
			"i" slist => getindices("row");
		methods:
			"" usebundle => one("\$(row[\$(i)][0])", "\$(row[\$(i)][1])");
		}
		bundle agent one(file, value)
		{
		vars:
			"name" string => lastnode("\$(file)", "/");
			"scratch" string => getenv("t", 4096);
		files:
			"\$(file)" $1;
		}
		$2
	END
}
export -f policy

@test "cfengine: content" {
	writes --batch --silent --changed 'info: ' "policy 'create => \"true\",
		content => \"\$(value)\$(const.n)\"' '' >x.cf; $agent"
}

@test "cfengine: edit_line" {
	writes --debris NAME.cf-after-edit --batch --silent --changed 'info: ' "policy 'create => \"true\",
		edit_line => only(\"\$(value)\"), edit_defaults => quietly' '
		bundle edit_line only(v)
		{
		delete_lines: \"(?!\\Q\$(v)\\E\$).*\";
		insert_lines: \"\$(v)\";
		}
		body edit_defaults quietly { edit_backup => \"false\"; }' >x.cf; $agent"
}

@test "cfengine: copy_from" {
	writes --debris NAME.cfnew --batch --silent --changed 'info: ' "policy '
		copy_from => elsewhere(\"\$(scratch)/\$(name)\")' '
		body copy_from elsewhere(from) { source => \"\$(from)\"; compare => \"digest\";
			copy_backup => \"false\"; }' >x.cf; $agent"
}

@test "cfengine: a tree copied in" {
	copies --silent --changed 'info: ' 'cat >x.cf <<-END
		bundle agent main
		{
		files:
			"$dst/." copy_from => tree("$src"), depth_search => all;
		}
		body copy_from tree(from)
		{
			source => "\$(from)";
			compare => "digest";
			copy_backup => "false";
		}
		body depth_search all { depth => "inf"; }
	END
	'"$agent"
}

@test "cfengine: examples/cfengine" {
	local agent='ATTACHFS_MOUNT=$dst cf-agent -KIf "$examples/cfengine/attachfs.cf"'
	declares --changed 'info: ' --detach "$agent -D attachfs_detach" "$agent"
}
