#!/bin/sh
# The others' side in the bare Debian: a nameserver, and one Postfix with Dovecot for log-ins that is the partner's server
# (smtp.dominiopartner.example) and the recipients' exchanger. Their certificates are of an authority of their own.
set -eu

for address in 10 20 40 53; do ip address add "198.51.100.$address/32" dev lo; done

cat > /etc/dnsmasq.conf <<END
no-resolv
no-hosts
listen-address=198.51.100.53
bind-interfaces
local=/#/
host-record=smtp.dominiopartner.example,198.51.100.10
host-record=mx.recipient.example,198.51.100.20
host-record=mail.example.com,198.51.100.40
mx-host=dominiopartner.example,smtp.dominiopartner.example,10
mx-host=recipient.example,mx.recipient.example,10
END
rm -f /etc/resolv.conf
echo nameserver 198.51.100.53 > /etc/resolv.conf
systemctl restart dnsmasq

# issue NAME DAYS: a certificate for a name, which ended already if DAYS is less than 0
mkdir -p /etc/authority
cat > /usr/local/bin/issue <<'END'
#!/bin/sh
set -eu
cd /etc/authority
[ -e "$1.csr" ] || openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1" 2>/dev/null
printf 'subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth\n' "$1" > "$1.ext"
openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -out "$1.pem" -days "$2" -extfile "$1.ext" 2>/dev/null
END
chmod 755 /usr/local/bin/issue
openssl req -x509 -newkey rsa:2048 -nodes -keyout /etc/authority/ca.key -out /etc/authority/ca.pem -days 30 \
    -subj "/CN=The partner's authority" -addext keyUsage=critical,keyCertSign 2>/dev/null
issue smtp.dominiopartner.example 60
issue mail.example.com 60

cat > /etc/dovecot/dovecot.conf <<END
protocols =
ssl = no
auth_mechanisms = plain login
auth_failure_delay = 0
passdb {
  driver = passwd-file
  args = username_format=%u /etc/dovecot/partner-users
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}
service auth {
  unix_listener /var/spool/postfix/private/auth {
    mode = 0600
    user = postfix
  }
}
END
echo 'alice:{PLAIN}partner-has-a-secret' > /etc/dovecot/partner-users
systemctl restart dovecot

install -d -o nobody -g nogroup /var/mail/others
postconf -e compatibility_level=3.6 maillog_file=/var/log/mail.log myhostname=smtp.dominiopartner.example mydestination= \
    inet_protocols=ipv4 inet_interfaces=198.51.100.10,198.51.100.20 smtpd_error_sleep_time=0 \
    virtual_mailbox_domains=dominiopartner.example,recipient.example virtual_mailbox_base=/var/mail/others \
    "virtual_mailbox_maps=inline:{ { alice@dominiopartner.example = alice/ }, { carol@recipient.example = carol/ } }" \
    virtual_uid_maps=static:65534 virtual_gid_maps=static:65534 smtpd_sasl_type=dovecot smtpd_sasl_path=private/auth \
    "smtpd_sender_login_maps=inline:{ { alice@dominiopartner.example = alice } }" smtpd_tls_security_level=may \
    smtpd_tls_chain_files=/etc/authority/smtp.dominiopartner.example.key,/etc/authority/smtp.dominiopartner.example.pem
postconf -X smtpd_tls_cert_file smtpd_tls_key_file
postconf -M "198.51.100.10:587/inet=198.51.100.10:587 inet n - n - - smtpd"
postconf -P 198.51.100.10:587/inet/syslog_name=postfix/submission \
    198.51.100.10:587/inet/smtpd_tls_security_level=encrypt 198.51.100.10:587/inet/smtpd_sasl_auth_enable=yes \
    198.51.100.10:587/inet/smtpd_recipient_restrictions=permit_sasl_authenticated,reject \
    198.51.100.10:587/inet/smtpd_sender_restrictions=reject_sender_login_mismatch
systemctl restart postfix
