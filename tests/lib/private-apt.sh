# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034 # others use what is set here
#
# private_apt DIR SOURCE: sets apt_options, of an apt that has SOURCE ("URL SUITE COMPONENT") alone and keeps in DIR what it knows. Nothing
# below /etc/apt is read for it but the proxy's settings; it verifies what it fetches.

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
apt_options=()
private_apt() {
    apt_options=(-o "Dir::Etc::sourcelist=$1/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null
        -o Dir::Etc::preferences=/dev/null -o "Dir::State=$1/state" -o "Dir::Cache=$1/cache" -o APT::Sandbox::User=root)
    mkdir -p "$1/state/lists/partial" "$1/cache/archives/partial"
    echo "deb [arch=amd64 signed-by=$keyring] $2" >"$1/sources.list"
}
