# Two hosts, a kind of volume, one of that kind, and who attaches it. Apply it again and nothing changes:
#	FACTER_attachfs_mount=/srv/attachfs puppet apply --modulepath=examples/puppet/modules \
#		--detailed-exitcodes examples/puppet/site.pp
attachfs::object { 'hosts/web1':
  settings => { 'initiator' => 'iqn.2004-10.com.example:web1' },
}
attachfs::object { 'hosts/web2':
  settings => { 'initiator' => 'iqn.2004-10.com.example:web2', 'description' => 'reports' },
}
attachfs::object { 'profiles/shared':
  settings => {
    'description'             => 'volumes for several hosts',
    'extra_specs/multiattach' => '<is> True',
  },
}
attachfs::object { 'volumes/db':
  settings => {
    'description'    => 'customers and orders',
    'profile'        => 'shared',
    'max_writers'    => 1,
    'size'           => '64M',
    'metadata/owner' => 'alice',
  },
  require  => Attachfs::Object['profiles/shared'],
}
attachfs::object { 'volumes/db/attachments/web1':
  settings => { 'mode' => 'rw' },
  require  => [Attachfs::Object['hosts/web1'], Attachfs::Object['volumes/db']],
}
attachfs::object { 'volumes/db/attachments/web2':
  settings => { 'mode' => 'ro', 'metadata/purpose' => 'nightly' },
  require  => [Attachfs::Object['hosts/web2'], Attachfs::Object['volumes/db']],
}
