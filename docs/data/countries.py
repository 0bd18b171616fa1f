#!/usr/bin/env python3
"""Writes shared/domain/src/country/names.txt, the table that `Country::parse` reads.

Source     The Unicode Common Locale Data Repository (CLDR) as PyPI's `babel` packs it: the names of the countries in
           each language, and the alpha-3 and numeric codes of ISO 3166-1. Last run with babel 2.18.0. The names that
           people use and CLDR does not list (ALIASES below) were written for Leadloop.
Licence    The CLDR data and so names.txt are under the Unicode License v3, printed in full at the end of this file.
How to run From any folder, after each new CLDR and after each change of ALIASES or of the fold in country.rs:

               python3 -m venv /tmp/cldr && /tmp/cldr/bin/pip install babel==2.18.0
               /tmp/cldr/bin/python docs/data/countries.py

           It prints the names it left out because they mean more than one country. `--names` prints every name as it
           was spelled, with its country, instead of writing the table: the input for a check of the Rust side.

The table has one line per key, sorted by its bytes, as `key<TAB>CC`. A key in capitals or digits is a code, a key in
lower case a folded name; so the two can't be taken for each other, and "N/A" is not Namibia. The line of an alpha-2
code has a third column, the English name.

The fold is not written here a second time: this script reads it from country.rs, so that the two can't drift apart.
"""

import pathlib
import re
import sys
import unicodedata

from babel import localedata
from babel.core import get_global

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUST = ROOT / "shared/domain/src/country.rs"
TABLE = ROOT / "shared/domain/src/country/names.txt"

# The languages of Europe that CLDR covers well. Each one more costs about 2 KB of every function's binary.
LANGUAGES = """
    en de fr it es pt pt_PT nl pl cs sk sl hr sr sr_Latn bs bs_Cyrl hu ro bg el tr da sv nb nn fi et lv lt uk ru be mk
    sq ca ga mt is eu gl cy lb rm fo ka hy
""".split()

# CLDR maps withdrawn ISO codes to today's country too; a lead should not be able to come from the GDR.
WITHDRAWN = set("BUR DDR FXX TMP YMD ZAR 230 249 278 280 720 736 886".split())

# Codes in everyday use that ISO 3166-1 does not assign: the European Union's for Greece and the United Kingdom, and
# those of Kosovo, which ISO has left to its users.
EXTRA_CODES = {"EL": "GR", "UK": "GB", "XKX": "XK"}

# Names of more than one country, or of a region of no country. CLDR gives some of them to one country or another.
AMBIGUOUS = """
    Congo | Kongo | Kongó | Kongas | Конго | Конга | Κονγκό | კონგო | Կոնգո | Il-Kongo | An Congó | y Congo
    Korea | Corea | Corée | Coreia | Kore | Корея | Koreja | Koreea | Κορέα | Virgin Islands | Виргинские о-ва
    America | Amerika | Amérique
"""

# How people write what CLDR words otherwise: the ISO 3166-1 short names and their inversions, former names, everyday
# names, abbreviations and official long forms. One spelling will do: the fold covers case, accents and punctuation.
ALIASES = {
    "AE": "UAE | Emirates | The United Arab Emirates | VAE | EAU | BAE | ОАЕ | Emirate | Emirats",
    "AT": "Republik Österreich | Republic of Austria",
    "BA": "Bosnia | Bosnien | Bosnien-Herzegowina | Bosnie | BiH | БиХ | Bosna | Босна",
    "BE": "Kingdom of Belgium | Royaume de Belgique | Koninkrijk België",
    "BG": "Republic of Bulgaria | Република България",
    "BL": "St. Barts | Saint Barts",
    "BO": "Bolivia, Plurinational State of | Plurinational State of Bolivia",
    "BQ": "Bonaire, Sint Eustatius and Saba | Bonaire, Saint Eustatius and Saba | Bonaire",
    "BS": "The Bahamas | Bahamas, The | Commonwealth of the Bahamas",
    "BY": "Weißrussland | White Russia | Wit-Rusland | Белоруссия | Республика Беларусь | Republic of Belarus"
    " | Belorussia | Byelorussia | Vitryssland | Hviderusland | Hviterussland",
    "CC": "Keeling Islands",
    "CD": "Democratic Republic of the Congo | Democratic Republic of Congo | Congo, Democratic Republic of the"
    " | Congo, The Democratic Republic of the | Congo, Dem. Rep. | Congo, D.R. | DR Congo | DRC | RDC"
    " | Demokratische Republik Kongo | DR Kongo | Zaire | République démocratique du Congo | RD Congo"
    " | Repubblica Democratica del Congo | Democratische Republiek Congo | ДР Конго"
    " | Демократическая Республика Конго",
    "CG": "Republic of the Congo | Republic of Congo | Congo, Republic of the | Congo, Republic of | Congo, Rep."
    " | Republik Kongo | République du Congo | Repubblica del Congo | República del Congo | Республика Конго",
    "CH": "Swiss Confederation | Schweizerische Eidgenossenschaft | Confédération suisse | Confederazione Svizzera"
    " | Confoederatio Helvetica | Helvetia | Die Schweiz | La Suisse",
    "CI": "Ivory Coast | Republic of Côte d'Ivoire | Elfenbeinküste | Elfenbeinkueste | Costa de Marfil"
    " | Wybrzeże Kości Słoniowej",
    "CN": "People's Republic of China | PRC | P.R. China | China, People's Republic of | Mainland China"
    " | Volksrepublik China | VR China | КНР | République populaire de Chine",
    "CY": "Republic of Cyprus",
    "CZ": "Czech Republic | The Czech Republic | Czech Rep. | Česká republika | Tschechische Republik | Tschechei"
    " | République tchèque | Repubblica Ceca | República Checa | República Checa (Chequia) | Republica Cehă"
    " | Tsjechische Republiek | Republika Czeska | Cseh Köztársaság | Чешка Република | Чешская Республика"
    " | Чеська Республіка | Τσεχική Δημοκρατία | Tjekkiske Republik | Tjeckiska republiken | Tsekin tasavalta"
    " | Tšehhi Vabariik | Čekijas Republika | Čekijos Respublika | Çek Cumhuriyeti | República Txeca",
    "DE": "Bundesrepublik Deutschland | BRD | BR Deutschland | Federal Republic of Germany"
    " | Germany, Federal Republic of | République fédérale d'Allemagne | ФРГ",
    "DK": "Kingdom of Denmark | Kongeriget Danmark",
    "DO": "Dominican Rep. | Rep. Dominicana | Dominicana | The Dominican Republic",
    "EE": "Eesti Vabariik | Republic of Estonia",
    "EG": "Arab Republic of Egypt",
    "ES": "Kingdom of Spain | Reino de España",
    "FI": "Republic of Finland | Suomen tasavalta",
    "FK": "Falkland Islands (Malvinas) | Falklands | Malvinas",
    "FM": "Micronesia, Federated States of | Federated States of Micronesia",
    "FO": "Faeroe Islands | Faroes | Färöer-Inseln",
    "FR": "French Republic | République française | La France | Metropolitan France | France métropolitaine",
    "GB": "U.K. | Great Britain | Britain | Great Britain and Northern Ireland | England | Scotland | Wales | Cymru"
    " | Northern Ireland | The United Kingdom | The UK | G.B. | United Kingdom of Great Britain and Northern Ireland"
    " | Großbritannien | Schottland | Nordirland | Grande-Bretagne | Angleterre | Écosse | Pays de Galles"
    " | Irlande du Nord | Gran Bretagna | Inghilterra | Scozia | Galles | Irlanda del Nord | Gran Bretaña"
    " | Inglaterra | Escocia | Gales | Irlanda del Norte | Grã-Bretanha | Irlanda do Norte | Groot-Brittannië"
    " | Engeland | Schotland | Noord-Ierland | Anglia | Szkocja | Walia | Irlandia Północna | Velká Británie"
    " | Anglie | Skotsko | Veľká Británia | Anglicko | Velika Britanija | Anglija | Engleska | Škotska"
    " | Nagy-Britannia | Skócia | Marea Britanie | Scoția | Англия | Шотландия | Μεγάλη Βρετανία | Αγγλία | Σκωτία"
    " | Büyük Britanya | İngiltere | İskoçya | Skotland | Skottland | Englanti | Skotlanti | Suurbritannia"
    " | Inglismaa | Šotimaa | Lielbritānija | Skotija | Didžioji Britanija | Англія | Шотландія | Велика Британија"
    " | Енглеска | Велика Британия | Gran Bretanya | Anglaterra | An Bhreatain Mhór | Englandi",
    "GE": "Republic of Georgia | Sakartvelo",
    "GF": "Guyane | French Guyana",
    "GM": "The Gambia | Gambia, The | Gambia (Republic of The) | Republic of The Gambia",
    "GR": "Ellas | Ellada | Hellenic Republic | Ελληνική Δημοκρατία | Ελλάς",
    "GS": "South Georgia and the South Sandwich Islands",
    "HK": "Hong Kong, China | Хонконг | Honkongas | Honkonga | Honkong",
    "HM": "Heard Island and McDonald Islands",
    "HR": "Republic of Croatia | Republika Hrvatska",
    "HU": "Republic of Hungary | Magyar Köztársaság",
    "ID": "Republic of Indonesia",
    "IE": "Republic of Ireland | Irish Republic | Ireland, Republic of | Southern Ireland | Poblacht na hÉireann"
    " | Republik Irland",
    "IL": "State of Israel",
    "IN": "Republic of India | Bharat",
    "IR": "Iran, Islamic Republic of | Islamic Republic of Iran | Persia",
    "IT": "Italian Republic | Repubblica Italiana",
    "KG": "Kirgisien | Kirghizia | Kyrgyz Republic",
    "KH": "Kampuchea",
    "KP": "Korea, Democratic People's Republic of | DPRK | Korea, North | Democratic People's Republic of Korea"
    " | Korea, Dem. People's Rep. | N. Korea | Северная Корея",
    "KR": "Korea, Republic of | Korea, Rep. | Republic of Korea | ROK | Korea, South | S. Korea | Republik Korea"
    " | République de Corée | Южная Корея",
    "KZ": "Republic of Kazakhstan",
    "LA": "Lao People's Democratic Republic | Lao P.D.R. | Laos (People's Democratic Republic)",
    "LI": "Fürstentum Liechtenstein | Principality of Liechtenstein",
    "LK": "Ceylon",
    "LT": "Lietuvos Respublika | Republic of Lithuania",
    "LU": "Grand Duchy of Luxembourg | Grand-Duché de Luxembourg | Grossherzogtum Luxemburg",
    "LV": "Latvijas Republika | Republic of Latvia",
    "LY": "Libyan Arab Jamahiriya | State of Libya",
    "MC": "Principality of Monaco | Principauté de Monaco",
    "MD": "Moldova, Republic of | Republic of Moldova | Республика Молдова | Молдавия",
    "MF": "Saint Martin (French part) | Saint-Martin (partie française)",
    "MK": "Macedonia | Republic of North Macedonia | Republic of Macedonia | FYROM | FYR Macedonia"
    " | Macedonia, the former Yugoslav Republic of | Macedonia (FYROM) | The former Yugoslav Republic of Macedonia"
    " | Mazedonien | Macédoine | Makedonien | Makedonija | Македонија | Македония | Makedonya | Macedonië",
    "MM": "Burma | Birma | Birmanie | Birmania | Бирма",
    "MO": "Macao | Macau SAR | Macau, China | Macao (China)",
    "MV": "The Maldives | Maldive Islands",
    "NL": "The Netherlands | Netherlands, The | Netherlands, Kingdom of the | Kingdom of the Netherlands"
    " | Die Niederlande | Les Pays-Bas | Koninkrijk der Nederlanden | Hollande | Olanda | Holanda | Nizozemí"
    " | Ολλανδία | Голландия | Голландія | Холандия | Hollanti",
    "NO": "Kingdom of Norway | Kongeriket Norge",
    "NZ": "N.Z. | Aotearoa | New Zeeland",
    "PF": "Tahiti",
    "PH": "The Philippines | Republic of the Philippines | Philippine Islands",
    "PL": "Republic of Poland | Rzeczpospolita Polska | Rzeczpospolita",
    "PM": "St Pierre and Miquelon",
    "PS": "Palestine | State of Palestine | Palestine, State of | Palestinian Territory"
    " | Palestinian Territory, Occupied | Occupied Palestinian Territory | Palästina | Palaestina | Palestina"
    " | Palestyna | Палестина | Παλαιστίνη | Filistin",
    "PT": "Portuguese Republic | República Portuguesa",
    "RE": "Reunion Island",
    "RO": "Roumania",
    "RS": "Republic of Serbia | Republika Srbija | Република Србија",
    "RU": "Russian Federation | Russische Föderation | Fédération de Russie | Federazione Russa"
    " | Federación de Rusia | Federación Rusa | Federação Russa | Federação da Rússia | Russische Federatie"
    " | Federacja Rosyjska | Ruská federace | Ruská federácia | Ruska federacija | Oroszországi Föderáció"
    " | Federația Rusă | РФ | Российская Федерация | Російська Федерація | Руска федерација | Руска федерация"
    " | Ρωσική Ομοσπονδία | Rusya Federasyonu | Venäjän federaatio | Ryska federationen | Krievijas Federācija"
    " | Rusijos Federacija",
    "SA": "KSA | Kingdom of Saudi Arabia | Saudi",
    "SE": "Kingdom of Sweden | Konungariket Sverige",
    "SH": "Saint Helena, Ascension and Tristan da Cunha",
    "SI": "Republic of Slovenia | Republika Slovenija",
    "SJ": "Svalbard | Spitsbergen",
    "SK": "Slovak Republic | The Slovak Republic | Slovenská republika | Slowakische Republik | République slovaque"
    " | Repubblica Slovacca | República Eslovaca | Slowaakse Republiek | Republika Słowacka | Slovačka Republika"
    " | Словацкая Республика",
    "SX": "Sint Maarten (Dutch part) | St. Maarten | Saint Maarten",
    "SY": "Syrian Arab Republic",
    "SZ": "Swaziland | Suazilandia",
    "TC": "Turks and Caicos",
    "TF": "French Southern and Antarctic Lands",
    "TL": "East Timor",
    "TR": "Turkey | Republic of Turkey | Republic of Türkiye | Türkiye Cumhuriyeti",
    "TT": "Trinidad",
    "TW": "Taiwan, Province of China | Taiwan, R.O.C. | Chinese Taipei | Formosa | Taiwan, China",
    "TZ": "Tanzania, United Republic of | United Republic of Tanzania",
    "UA": "The Ukraine",
    "UM": "United States Minor Outlying Islands | US Minor Outlying Islands",
    "US": "U.S. | United States of America | The United States | The United States of America | The USA | The US"
    " | United States (USA) | U.S. of A. | Vereinigte Staaten von Amerika | États-Unis d'Amérique"
    " | Stati Uniti d'America | Estados Unidos de América | EE.UU. | Estados Unidos da América | EUA"
    " | Verenigde Staten van Amerika | V.S. | Stany Zjednoczone Ameryki | Spojené státy americké | Združene države"
    " | ZDA | SAD | САД | Amerikai Egyesült Államok | Statele Unite | SUA | США | Соединенные Штаты Америки"
    " | Сполучені Штати Америки | САЩ | Съединени американски щати | Ηνωμένες Πολιτείες Αμερικής | ΗΠΑ | ABD"
    " | Amerikas Förenta Stater | Förenta staterna | De forenede stater | Amerikan yhdysvallat | ASV"
    " | Jungtinės Amerikos Valstijos | JAV | Estats Units d'Amèrica | Bandaríki Norður-Ameríku",
    "VA": "Holy See | The Holy See | Holy See (Vatican City State) | Vatican | Vatican City State | The Vatican"
    " | Heiliger Stuhl | Saint-Siège | Santa Sede",
    "VC": "Saint Vincent and the Grenadines | Saint Vincent",
    "VE": "Venezuela, Bolivarian Republic of | Bolivarian Republic of Venezuela",
    "VG": "Virgin Islands, British | British Virgin Isles | BVI",
    "VI": "Virgin Islands, U.S. | USVI | United States Virgin Islands | American Virgin Islands",
    "VN": "Socialist Republic of Vietnam",
    "WS": "Western Samoa | Independent State of Samoa",
    "XK": "Republic of Kosovo | Republika e Kosovës",
    "ZA": "Republic of South Africa | RSA | S. Africa | ЮАР",
}

# Spellings without the letters of a language, as keyboards and old systems force them.
RESPELLINGS = {
    "de": [("ä", "ae"), ("ö", "oe"), ("ü", "ue")],
    "lb": [("ä", "ae"), ("ö", "oe"), ("ü", "ue")],
    "sv": [("ä", "ae"), ("ö", "oe"), ("å", "aa")],
    "da": [("ø", "oe"), ("å", "aa")],
    "nb": [("ø", "oe"), ("å", "aa")],
    "nn": [("ø", "oe"), ("å", "aa")],
    "hr": [("đ", "dj")],
    "bs": [("đ", "dj")],
    "sr_Latn": [("đ", "dj")],
    "en": [(" & ", " and "), ("St. ", "Saint ")],
}


def read_fold():
    """The arms of `fn base` in country.rs, as a dictionary from a letter to what stands for it."""
    body = re.search(r"fn base\(.*?\n}", RUST.read_text(encoding="utf-8"), re.S).group(0)
    arms = re.findall(r"((?:'.'\s*\|\s*)*'.')\s*=>\s*\"([^\"]*)\"", body)
    fold = {letter: base for letters, base in arms for letter in re.findall(r"'(.)'", letters)}
    assert fold["é"] == "e" and fold["ß"] == "ss" and len(fold) > 100, "fn base in country.rs has changed its form"
    return fold


FOLD = read_fold()


def fold(text):
    """What `fn fold` in country.rs does; the assertion finds a letter that the Rust table lacks."""
    folded = "".join(
        FOLD.get(letter, letter if letter.isalnum() and not "\u02b0" <= letter <= "\u02ff" else "")
        for letter in "".join(letter.lower() for letter in text)
    )
    assert unicodedata.normalize("NFD", folded) == folded, f"{text}: add its accented letters to fn base in country.rs"
    return folded


def codes():
    """The codes of ISO 3166-1 and EXTRA_CODES, each with its alpha-2 code."""
    english = localedata.load("en")["territories"]
    others = {}
    for code, territories in get_global("territory_aliases").items():
        if len(code) == 3 and code not in WITHDRAWN and len(territories) == 1 and len(territories[0]) == 2:
            others[code] = territories[0]
    # Above 894 are the numbers that CLDR gives to codes which ISO leaves to their users.
    assigned = {cc for code, cc in others.items() if code.isdigit() and int(code) <= 894 and cc in english}
    table = {cc: cc for cc in assigned | {"XK"}} | EXTRA_CODES
    for code, cc in others.items():
        if cc in assigned and not (code.isdigit() and int(code) > 894):
            table[code] = cc
    sizes = [sum(test(code) for code in table) for test in (lambda c: len(c) == 2, str.isdigit)]
    assert sizes == [249 + 1 + 2, 249] and len(table) == sum(sizes) + 249 + 1, "ISO 3166-1 has changed: look why"
    return table


def spellings(languages, countries):
    """Every name of every country as (name, country, whether it is CLDR's own or a part of it or a respelling)."""
    for language in languages:
        for cc, name in localedata.load(language)["territories"].items():
            if cc not in countries or name == cc:
                continue
            yield name, cc, True
            bare = re.sub(r"\s*[(\[].*?[)\]]", "", name)
            if bare != name:
                yield bare, cc, False
            respelled = name
            for letter, letters in RESPELLINGS.get(language, []):
                respelled = respelled.replace(letter, letters).replace(letter.upper(), letters.capitalize())
            if respelled != name:
                yield respelled, cc, False


def names(table):
    """The folded names, and those left out with the countries they could mean."""
    countries = set(table.values())
    whole, derived = {}, {}
    for name, cc, own in spellings(LANGUAGES, countries):
        (whole if own else derived).setdefault(fold(name), set()).add(cc)
    found = {key: set(ccs) for key, ccs in whole.items()}
    for key, ccs in derived.items():
        if key not in whole:  # a name in full means more than a part of another
            found[key] = set(ccs)
    out = {}
    for text in AMBIGUOUS.replace("\n", "|").split("|"):
        if fold(text):
            out[fold(text)] = found.pop(fold(text), set())
    for cc, text in ALIASES.items():
        assert cc in countries, cc
        for alias in text.split(" | "):
            key = fold(alias)
            assert key not in out, f"alias {alias} of {cc} is ambiguous"
            assert found.get(key, {cc}) == {cc}, f"alias {alias} of {cc} also means {found[key]}"
            found[key] = {cc}
    for key, ccs in list(found.items()):
        ccs = ccs | {table.get(key.upper(), *ccs)} if len(ccs) == 1 else ccs  # not the code of another country
        if len(ccs) > 1:
            out[key] = ccs
            del found[key]
    return {key: next(iter(ccs)) for key, ccs in found.items() if key}, out


def main():
    table = codes()
    found, out = names(table)
    if "--names" in sys.argv:
        for name, cc, _ in spellings(LANGUAGES, set(table.values())):
            if found.get(fold(name)) == cc:
                print(name, cc, sep="\t")
        for cc, text in ALIASES.items():
            for alias in text.split(" | "):
                print(alias, cc, sep="\t")
        return
    english = localedata.load("en")["territories"]
    lines = {code: f"{code}\t{cc}" + (f"\t{english[cc]}" if code == cc else "") for code, cc in table.items()}
    lines |= {name: f"{name}\t{cc}" for name, cc in found.items()}
    TABLE.parent.mkdir(exist_ok=True)
    text = "".join(lines[key] + "\n" for key in sorted(lines, key=lambda key: key.encode()))
    TABLE.write_text(text, encoding="utf-8", newline="\n")
    for name, ccs in sorted(out.items()):
        print("left out:", name, " ".join(sorted(ccs)))
    print(f"{len(lines)} lines, {len(text.encode())} bytes, longest key {max(len(k.encode()) for k in lines)} bytes")


if __name__ == "__main__":
    main()

# The licence of the data, which it asks to be kept with its copies:
#
# UNICODE LICENSE V3
#
# COPYRIGHT AND PERMISSION NOTICE
#
# Copyright © 2004-2026 Unicode, Inc.
#
# NOTICE TO USER: Carefully read the following legal agreement. BY
# DOWNLOADING, INSTALLING, COPYING OR OTHERWISE USING DATA FILES, AND/OR
# SOFTWARE, YOU UNEQUIVOCALLY ACCEPT, AND AGREE TO BE BOUND BY, ALL OF THE
# TERMS AND CONDITIONS OF THIS AGREEMENT. IF YOU DO NOT AGREE, DO NOT
# DOWNLOAD, INSTALL, COPY, DISTRIBUTE OR USE THE DATA FILES OR SOFTWARE.
#
# Permission is hereby granted, free of charge, to any person obtaining a
# copy of data files and any associated documentation (the "Data Files") or
# software and any associated documentation (the "Software") to deal in the
# Data Files or Software without restriction, including without limitation
# the rights to use, copy, modify, merge, publish, distribute, and/or sell
# copies of the Data Files or Software, and to permit persons to whom the
# Data Files or Software are furnished to do so, provided that either (a)
# this copyright and permission notice appear with all copies of the Data
# Files or Software, or (b) this copyright and permission notice appear in
# associated Documentation.
#
# THE DATA FILES AND SOFTWARE ARE PROVIDED "AS IS", WITHOUT WARRANTY OF ANY
# KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
# MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT OF
# THIRD PARTY RIGHTS.
#
# IN NO EVENT SHALL THE COPYRIGHT HOLDER OR HOLDERS INCLUDED IN THIS NOTICE
# BE LIABLE FOR ANY CLAIM, OR ANY SPECIAL INDIRECT OR CONSEQUENTIAL DAMAGES,
# OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS,
# WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION,
# ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THE DATA
# FILES OR SOFTWARE.
#
# Except as contained in this notice, the name of a copyright holder shall
# not be used in advertising or otherwise to promote the sale, use or other
# dealings in these Data Files or Software without prior written
# authorization of the copyright holder.
#
# SPDX-License-Identifier: Unicode-3.0
