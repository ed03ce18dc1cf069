[
    (
        " = Robert Boulter = \n \n Robert Boulter is an English film , television and theatre actor . He had a guest @-@ starring role on the television series The Bill in 2000 .\n",
        " = Robert Boulter =\n\nRobert Boulter is an English film, television and theatre actor. He had a guest-starring role on the television series The Bill in 2000 .\n",
    ),
    (
        " = = Career = = \n = = = 2000 – 2005 = = = \n In 2002 ( the year ) , he 's \" paid \" 1 @,@ 500 [ sic ] or 2 @.@ 5 ; the boys ' toys ' were ' his ' { own } ? Yes ! So : 7 ° N of it\n",
        " == Career ==\n=== 2000 – 2005 ===\nIn 2002 (the year), he's \"paid\" 1,500 [sic] or 2.5; the boys' toys'were' his' {own}? Yes! So: 7°N of it\n",
    ),
    (
        "a\u{a0}(\u{a0}x\u{a0}) ( \u{1f}y\u{1f} ) '  ' \" \" /' [0-9]/ \n\n",
        "a\u{a0}(x) (y) '' \"\" /' [0-9]/\n\n",
    ),
]
