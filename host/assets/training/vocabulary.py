"""The closed world that the data is made of: word lists and facts, and nothing else."""

NAMES = (
    "Tom Anna Ben Lily Max Emma Sam Mia Leo Zoe Jack Lucy Nick Sara Paul "
    "Kate Dan Rosa Omar Nina Ivan Eva Hugo Ella Adam Jane Mark Ruth Luke Amy"
).split()

PLACES = (
    "garden kitchen park school library market forest station office museum "
    "barn shop church tower cellar bakery hall castle hotel cafe"
).split()

OBJECTS = (
    "ball book cup hat key lamp map box bag coat drum flag pen ring rope "
    "bell bike doll kite coin pear plum cake bowl spoon chair clock shirt shoe toy"
).split()

COLOURS = "red blue green black white yellow brown pink".split()

FEMALE_NAMES = frozenset("Anna Lily Emma Mia Zoe Lucy Sara Kate Rosa Nina Eva Ella Jane Ruth Amy".split())

CAPITALS = {
    "France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid", "Portugal": "Lisbon",
    "Norway": "Oslo", "Sweden": "Stockholm", "Finland": "Helsinki", "Denmark": "Copenhagen", "Iceland": "Reykjavik",
    "Ireland": "Dublin", "Poland": "Warsaw", "Austria": "Vienna", "Hungary": "Budapest", "Greece": "Athens",
    "Turkey": "Ankara", "Russia": "Moscow", "Ukraine": "Kyiv", "Belarus": "Minsk", "Romania": "Bucharest",
    "Bulgaria": "Sofia", "Serbia": "Belgrade", "Croatia": "Zagreb", "Slovenia": "Ljubljana", "Slovakia": "Bratislava",
    "Belgium": "Brussels", "Switzerland": "Bern", "Estonia": "Tallinn", "Latvia": "Riga", "Lithuania": "Vilnius",
    "Albania": "Tirana", "Cyprus": "Nicosia", "Malta": "Valletta", "Moldova": "Chisinau", "Montenegro": "Podgorica",
    "Egypt": "Cairo", "Kenya": "Nairobi", "Ghana": "Accra", "Ethiopia": "Addis Ababa", "Morocco": "Rabat",
    "Senegal": "Dakar", "Uganda": "Kampala", "Rwanda": "Kigali", "Zambia": "Lusaka", "Zimbabwe": "Harare",
    "Angola": "Luanda", "Namibia": "Windhoek", "Mali": "Bamako", "Nigeria": "Abuja", "Sudan": "Khartoum",
    "Libya": "Tripoli", "Somalia": "Mogadishu", "Mozambique": "Maputo", "Botswana": "Gaborone", "Madagascar": "Antananarivo",
    "Japan": "Tokyo", "China": "Beijing", "India": "New Delhi", "Thailand": "Bangkok", "Vietnam": "Hanoi",
    "Nepal": "Kathmandu", "Pakistan": "Islamabad", "Bangladesh": "Dhaka", "Iran": "Tehran", "Iraq": "Baghdad",
    "Syria": "Damascus", "Lebanon": "Beirut", "Jordan": "Amman", "Qatar": "Doha", "Oman": "Muscat",
    "Mongolia": "Ulaanbaatar", "Malaysia": "Kuala Lumpur", "Philippines": "Manila", "Cambodia": "Phnom Penh", "Laos": "Vientiane",
    "Georgia": "Tbilisi", "Armenia": "Yerevan", "Azerbaijan": "Baku", "Afghanistan": "Kabul", "Uzbekistan": "Tashkent",
    "Canada": "Ottawa", "Cuba": "Havana", "Peru": "Lima", "Chile": "Santiago", "Brazil": "Brasilia",
    "Argentina": "Buenos Aires", "Colombia": "Bogota", "Ecuador": "Quito", "Uruguay": "Montevideo", "Venezuela": "Caracas",
    "Jamaica": "Kingston", "Haiti": "Port-au-Prince", "Honduras": "Tegucigalpa", "Nicaragua": "Managua", "Paraguay": "Asuncion",
    "Australia": "Canberra", "New Zealand": "Wellington", "Fiji": "Suva", "Samoa": "Apia", "Tonga": "Nuku'alofa",
}

# Every word stands in exactly one pair, so that each has one right answer.
OPPOSITES = [
    tuple(pair.split("-"))
    for pair in (
        "hot-cold big-small up-down left-right in-out old-young good-bad happy-sad fast-slow high-low "
        "long-short hard-soft light-dark day-night open-closed full-empty rich-poor strong-weak wet-dry clean-dirty "
        "early-late near-far loud-quiet thick-thin wide-narrow deep-shallow true-false first-last start-finish buy-sell "
        "push-pull give-take win-lose love-hate laugh-cry come-go sit-stand live-die ask-answer remember-forget "
        "before-after above-below inside-outside always-never all-none more-less many-few with-without yes-no on-off "
        "rare-common brave-afraid sharp-blunt rough-smooth sweet-bitter calm-excited wild-tame fresh-stale cheap-expensive easy-difficult "
        "safe-dangerous simple-complex single-double same-different alive-dead awake-asleep front-back top-bottom north-south east-west "
        "king-queen boy-girl man-woman brother-sister father-mother husband-wife uncle-aunt summer-winter morning-evening friend-enemy "
        "teacher-pupil arrive-depart build-destroy enter-exit hide-reveal float-sink grow-shrink join-separate lead-follow raise-lower "
        "save-spend send-receive throw-catch attack-defend accept-refuse increase-decrease success-failure war-peace past-future hope-despair"
    ).split()
]
