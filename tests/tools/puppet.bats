#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Puppet: a lock directory and a file beside the one it changes, checksums, exit codes.
load lib

setup_file() {
	tools_start
	export TOOL_SECONDS=300
}

teardown_file() {
	fs_end
}

teardown() {
	clear
}

# With --detailed-exitcodes 0 is: nothing to do; 2: changed; 4: failed; 6: both.
codes=(--success '[02]' --changed 'exit status 2' --reports 'exit status [46]')

# What Puppet itself keeps stays in the test's own folder.
apply='puppet apply --confdir="$t/conf" --vardir="$t/var" --logdest=console --color=false
	--detailed-exitcodes'
apply=${apply//$'\n'/ }

# A manifest of all files of the list, each with those attributes
files() {
	cat <<-END
		split(chomp(file(\$facts["list"])), "\\n").each |\$line| {
			\$pair = split(\$line, "\\t")
			file { \$pair[0]: ensure => file, content => "\${pair[1]}\\n", $1 }
		}
	END
}
export -f files

@test "puppet: file" {
	writes --batch "${codes[@]}" \
		'files "backup => false" >x.pp; FACTER_list=$list '"$apply x.pp"
}

@test "puppet: file, with owner and mode, and a backup beside it" {
	writes --batch "${codes[@]}" --backup NAME.puppet-bak \
		'files "owner => daemon, mode => \"0640\", backup => \".puppet-bak\"" >x.pp
		FACTER_list=$list '"$apply x.pp"
}

@test "puppet: a tree copied in" {
	copies "${codes[@]}" 'echo "file { \"$dst\": ensure => directory, recurse => remote,
		source => \"$src\", source_permissions => ignore, backup => false }" >x.pp; '"$apply x.pp"
}

# Puppet takes what it has tried to remove for removed.
@test "puppet: a tree removed" {
	removes --twice --silent "${codes[@]}" 'echo "file { \"$d\": ensure => absent, recurse => true,
		force => true, backup => false }" >x.pp; '"$apply x.pp"
}

@test "puppet: examples/puppet" {
	local modules='FACTER_attachfs_mount=$dst '"$apply"' --modulepath="$examples/puppet/modules"'
	declares "${codes[@]}" \
		--detach "$modules \$examples/puppet/detach.pp" "$modules \$examples/puppet/site.pp"
}
