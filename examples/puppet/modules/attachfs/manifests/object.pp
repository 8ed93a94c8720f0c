# One directory of attachfs, and its settings in the order they are given.
#
# @param settings  NAME => VALUE; a key of metadata/ is the setting metadata/KEY
# @param ensure    present or absent
# @param mount     where attachfs is mounted
define attachfs::object (
  Hash[String, Scalar] $settings = {},
  Enum['present', 'absent'] $ensure = 'present',
  String $mount = $facts['attachfs_mount'] ? { undef => '/srv/attachfs', default => $facts['attachfs_mount'] },
) {
  $directory = "${mount}/${title}"

  if $ensure == 'absent' {
    file { $directory: ensure => absent, recurse => true, force => true, backup => false }
  } else {
    file { $directory: ensure => directory }
    $settings.reduce(File[$directory]) |$before, $setting| {
      file { "${directory}/${setting[0]}":
        ensure  => file,
        content => "${setting[1]}\n",
        backup  => false,
        require => $before,
      }
      File["${directory}/${setting[0]}"]
    }
  }
}
