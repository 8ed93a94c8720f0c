#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Ansible: a file beside the one it changes, with its owner, mode and times, then a rename.
load lib

setup_file() {
	tools_start
	export TOOL_SECONDS=300 ANSIBLE_LOCALHOST_WARNING=false ANSIBLE_PIPELINING=true
}

teardown_file() {
	fs_end
}

teardown() {
	clear
}

play='HOME=$t ansible-playbook'
files='mode,description,owner'

# A playbook of a task for each file of the list: {{ file }} and {{ value }} in it
playbook() { # MODULE ARGUMENTS
	cat <<-END
		- hosts: localhost
		  connection: local
		  gather_facts: false
		  tasks:
		  - name: write
		    $1: $2
		    loop: "{{ lookup('file', lookup('env', 'list')).splitlines() | map('split', '\\t') }}"
		    vars: {file: "{{ item.0 }}", value: "{{ item.1 }}"}
	END
}
export -f playbook

plays() { # PLAYBOOK
	LC_ALL=C.UTF-8 HOME=$dir timeout 300 ansible-playbook "$1"
}

# MODULE ARGUMENTS [OPTION…]: of ansible.builtin, or by its full name
module() {
	case $1 in *.*) module=$1 ;; *) module=ansible.builtin.$1 ;; esac
	arguments=$2
	export module arguments
	shift 2
	writes --batch --changed 'changed=[1-9]' "$@" \
		'playbook "$module" "$arguments" >x.yml; '"$play x.yml"
}

@test "ansible: copy" {
	module copy '{dest: "{{ file }}", content: "{{ value }}\n"}' --files "$files,fresh"
}

@test "ansible: copy, with owner and mode, without a newline" {
	module copy '{dest: "{{ file }}", content: "{{ value }}", owner: daemon, mode: "0640"}' \
		--files mode --bare
}

@test "ansible: copy, unsafe_writes" {
	module copy '{dest: "{{ file }}", content: "{{ value }}\n", unsafe_writes: true}' --files mode
}

@test "ansible: template" {
	module template '{src: x.j2, dest: "{{ file }}"}' --files "$files,fresh" \
		--prepare 'echo "{{ value }}" >x.j2'
}

@test "ansible: lineinfile" {
	module lineinfile '{path: "{{ file }}", line: "{{ value }}", regexp: "^"}' --files "$files" --edits
}

@test "ansible: replace" {
	module replace '{path: "{{ file }}", replace: "{{ value }}", regexp: "^.+$"}' \
		--files "$files" --edits
}

@test "ansible: ini_file" {
	module community.general.ini_file '{path: "{{ file }}", section: null, option: option,
		value: "{{ value | replace(\"option = \", \"\") }}"}' \
		--form 'option = VALUE' --files description,owner
}

@test "ansible: ini_file with a section has two lines: refused, and said so" {
	new_volume sections mem:ram 16M
	put before "$mnt/volumes/sections/description"
	names=$(ls -A "$mnt/volumes/sections")
	LC_ALL=C.UTF-8 HOME=$dir refused EINVAL timeout 300 ansible localhost -m community.general.ini_file \
		-a "path=$mnt/volumes/sections/description section=s option=o value=v"
	value_is before "$mnt/volumes/sections/description"
	[ "$(ls -A "$mnt/volumes/sections")" = "$names" ]
}

@test "ansible: blockinfile has three lines at least: refused, and said so" {
	new_volume blocks mem:ram 16M
	put before "$mnt/volumes/blocks/description"
	cat >"$dir/x.yml" <<-END
		- hosts: localhost
		  connection: local
		  gather_facts: false
		  tasks:
		  - ansible.builtin.blockinfile: {path: "$mnt/volumes/blocks/description", block: text}
	END
	names=$(ls -A "$mnt/volumes/blocks")
	refused EINVAL plays "$dir/x.yml"
	value_is before "$mnt/volumes/blocks/description"
	[ "$(ls -A "$mnt/volumes/blocks")" = "$names" ]
}

@test "ansible: file sets owners and modes, read-only attributes' too" {
	new_volume owned mem:ram 16M
	cat >"$dir/x.yml" <<-END
		- hosts: localhost
		  connection: local
		  gather_facts: false
		  tasks:
		  - ansible.builtin.file: {path: "$mnt/volumes/owned/{{ item }}", owner: daemon, mode: "0600"}
		    loop: [description, id]
		  - ansible.builtin.file: {path: "$mnt/volumes/owned", state: directory, mode: "0750"}
	END
	run -0 plays "$dir/x.yml"
	[[ $output == *changed=2* ]]
	run -0 plays "$dir/x.yml"
	[[ $output == *changed=0* ]]
	[ "$(stat -c %U:%a "$mnt/volumes/owned/id")" = daemon:600 ]
}

@test "ansible: a tree copied in" {
	copies --changed 'changed=[1-9]' "cat >x.yml <<-END
		- hosts: localhost
		  connection: local
		  gather_facts: false
		  tasks:
		  - ansible.builtin.copy: {src: \"\$src/\", dest: \"\$dst/\"}
	END
	$play x.yml"
}

@test "ansible: examples/ansible" {
	local play="$play -e attachfs_mount=\$dst \$examples/ansible"
	declares --changed 'changed=[1-9]' \
		--detach "$play/detach.yml -e volume=db -e host=web2" "$play/playbook.yml"
}
