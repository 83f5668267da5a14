"""The English words by which a prompt is understood."""


def split_words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


VIDEO = split_words(
    """
    video clip film footage movie recording file it this that these those whole entire picture image frame
    background screen content material stream
    talk lecture lesson tutorial presentation webinar episode session structure everything overall
    """
)
"""What may be described, summarised, or have a colour."""

FUNCTION = split_words(
    """
    a an the this that these those it its is are was were be been being am do does did done has have had having can
    could will would shall should may might must i you me my we us our your they them their he she of in on at to
    from by for with without and or but not no nor so if then than as into onto over under about between during
    within per each every all any some both either there here when where what which how many much long often very
    please also just only exactly give gives get make makes list lists name tell show shows shown showing display
    displays displayed appear appears appearing appearance return write find extract identify provide create
    generate produce report include including contain contains use using full complete short brief briefly concise
    detailed one two three four five six seven eight nine ten few first last next new bullet bullets point points
    sentence sentences paragraph paragraphs word words json table format formatted markdown plain output answer
    answers line lines time times timestamp timestamps timecode timecodes start starts begin begins beginning end
    ends ending second seconds minute minutes hour hours order chronological together along corresponding respective
    main most dominant total number count amount analyze analyse analysis read reads reading say says visible seen
    see occur occurs happen happens english different present given let know need want like below above following
    numbered heading headings s t re ll ve d happening happened whether look looks
    used key change changes detail details kind kinds type types exist exists detect detected found
    """
)
"""Words that ask for nothing by themselves."""

HARD = split_words(
    """
    people person persons man men woman women boy girl child children kid kids baby who whom whose someone somebody
    anyone presenter speaker speakers narrator host actor actress character characters player players face faces
    facial expression expressions emotion emotions emotional happy sad angry smile smiles smiling laugh laughing cry
    crying feel feels feeling feelings sentiment mood tone vibe atmosphere attitude why reason reasons reasoning
    explain because language languages speech spoken speak speaks speaking said talk talks talking dialogue dialog
    conversation voice voices narration accent transcript transcripts transcribe transcribed transcription translate
    translated translation hear heard listen music song songs noise noises object objects thing things animal
    animals dog dogs cat cats bird car cars vehicle vehicles tree trees food product products brand brands logo
    logos clothes clothing shirt dress outfit wearing action actions activity activities gesture gestures doing
    violence violent weapon weapons nsfw nudity unsafe safe safety age gender ethnicity identity opinion joke funny
    humour humor story plot narrative meaning message intent intention purpose theme recommend recommendation advice
    advertisement ad suggest rate rating quality review judge predict camera angle zoom pan location place city
    country weather relationship recipe ingredients score goal sport topic topics keyword keywords hashtag hashtags
    highlight highlights memorable important best interesting engaging viral
    """
)
"""What facts cannot say."""

KINDS: dict[str, frozenset[str]] = {
    "text": split_words(
        """
        text texts ocr caption captions subtitle subtitles onscreen written writing lettering sign signs label
        labels slide slides card cards typed print printed inscription credits
        """
    ),
    "chapters": split_words(
        """
        chapter chapters scene scenes shot shots cut cuts segment segments segmentation section sections part parts
        timeline transition transitions contents outline
        """
    ),
    "summary": split_words(
        """
        summary summaries summarize summarise summarized summarised summarizing summarising describe describes
        describing description overview gist recap synopsis abstract fact facts
        """
    ),
    "technical": split_words(
        """
        duration length resolution width height fps framerate aspect dimension dimensions technical metadata
        audio track tracks sound size pixel pixels
        """
    ),
    "colours": split_words("colour colours color colors coloured colored hue hues palette"),
    "motion": split_words("motion move moves moving movement movements moved static still"),
    "title": split_words("title titles titled headline headlines"),
    "help": split_words("help capability capabilities yourself"),
}
"""The words of each kind of question."""

PHRASES: tuple[tuple[str, str], ...] = (
    (r"\bon[ -]?screen\b|\bon the screen\b|\btitle cards?\b", "text"),
    (
        r"\b(?:words?|letters?) (?:shown|visible|displayed|appear|are|is|on)\b",
        "text",
    ),
    (r"\bwhat (?:does|do) (?:it|the (?:screen|video|slides?|signs?|titles?)) (?:say|read)\b", "text"),
    (r"\btable of contents\b", "chapters"),
    (
        r"\bwhat(?:'s| is) (?:this|the) (?:video|clip|film) about\b|\btell me about (?:this|the) (?:video|clip)",
        "summary",
    ),
    (
        r"\bhow long\b|\bframe[ -]?rate\b|\bframes per second\b|\bhow (?:big|large)\b|\brun(?:ning)? ?time\b",
        "technical",
    ),
    (
        r"\bwhat can (?:you|this|it)\b|\b(?:who|what) are you\b|\bwhat (?:model|analy[sz]er)\b|\bhow do you work\b",
        "help",
    ),
)
"""What several words together ask for."""

ONE_THING = (
    r"\b(colou?rs?|hue|motion|movement|describe|summari[sz]e)\b"
    r"(?: (?:of|is|are|was|in|does|has))* (?:the|an?|his|her|their) (\w+)"
)
"""The thing whose colour or description is asked for."""

QUESTION = r"^(?:is|are|was|were|does|do|did|has|have|had|who|what|whats|which|where|when|how|why)\b"
