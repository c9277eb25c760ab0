#!/usr/bin/env python3
"""Writes keyvaultd(8) or keyvaultd.conf(5) from what the program says of itself.

    man_pages.py keyvaultd.8 PROGRAM VERSION DATE        man_pages.py keyvaultd.conf.5 ...
"""
import subprocess
import sys


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return "\\&" + text if text.startswith((".", "\\(aq")) else text


def ask(program, word):
    return subprocess.run([program, word], check=True, capture_output=True, text=True).stdout


def head(name, section, version, date, title):
    return [f'.TH {name.upper()} {section} "{date}" "keyvault {version}" "{title}"']


def keyvaultd(program, version, date):
    """The usage: paragraphs "Title:" with lines "  word ARGUMENT   meaning"."""
    out = head("keyvaultd", 8, version, date, "System Administration")
    out += [".SH NAME", "keyvaultd \\- the key vault server", ".SH SYNOPSIS"]
    for paragraph in ask(program, "help").strip().split("\n\n"):
        title, *lines = paragraph.split("\n")
        word, _, rest = title.partition(": ")
        if word == "Usage":
            name, _, arguments = rest.partition(" ")
            out += [f".B {roff(name)}", roff(arguments), ".SH DESCRIPTION",
                    "Keeps keys, secrets and certificates, with the private keys on tokens",
                    "(PKCS#11), and uses them for callers that are known by a client",
                    "certificate, over gRPC.",
                    "It stays in the foreground and logs JSON lines to standard error."]
        elif word == "Exit status":
            out.append(".SH EXIT STATUS")
            for item in rest.split(", "):
                code, _, meaning = item.partition(" ")
                out += [".TP", f".B {code}", roff(meaning)]
        else:
            out.append(f".SH {title.rstrip(':').upper()}")
            for line in lines:
                left, _, meaning = line.strip().partition("  ")
                out += [".TP", f".B {roff(left)}", roff(meaning.strip())]
    out += [".SH SIGNALS", ".TP", ".B SIGTERM, SIGINT",
            "Stop listening, wait for running calls, make a last checkpoint, exit 0.",
            ".TP", ".B SIGHUP",
            "Read the configuration again, with the certificates and a TLS key in a file.",
            ".SH FILES", ".TP", ".I /etc/keyvault/keyvaultd.conf",
            "The configuration of the packaged service.",
            ".TP", ".I /var/lib/keyvault", "What the packaged service writes.",
            ".SH SEE ALSO", ".BR keyvaultd.conf (5),", ".BR kvctl (1)"]
    return out


def configuration(program, version, date):
    out = head("keyvaultd.conf", 5, version, date, "File Formats")
    out += [".SH NAME", "keyvaultd.conf \\- the configuration of the key vault server",
            ".SH DESCRIPTION",
            'Lines of the form "name = value" below a "[section]". A line that begins with ; or #',
            "is a comment. Unknown sections and names are errors, and so is a name given twice.",
            "Relative paths begin at",
            ".BR home ,",
            "which must be given.",
            '"keyvaultd check\\-config" prints every setting in force.']
    last = None
    for line in ask(program, "settings").splitlines():
        section, key, default, meaning = line.split("\t")
        if section != last:
            out.append(f".SH [{section.upper()}]")
        last = section
        out += [".TP", f".B {roff(key)}", roff(meaning)]
        if default:
            out.append(f"(default: {roff(default)})")
    out += [".SH SEE ALSO", ".BR keyvaultd (8)"]
    return out


PAGES = {"keyvaultd.8": keyvaultd, "keyvaultd.conf.5": configuration}

if __name__ == "__main__":
    page, program, version, date = sys.argv[1:]
    print("\n".join(PAGES[page](program, version, date)))
