# Detaches one host of one volume. It fails while the host is logged in, and says so.
attachfs::object { 'volumes/db/attachments/web2': ensure => absent }
